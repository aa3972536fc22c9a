import { assertEquals, assertThrows } from "@std/assert";
import {
  type EngineAddress,
  type EngineEndpoint,
  engineEndpoint,
} from "../../../lib/engine/address.ts";
import { EngineError } from "../../../lib/engine/error.ts";

function endpoint(
  address: Partial<EngineAddress> & { host: string },
): EngineEndpoint {
  return engineEndpoint({ tlsVerify: false, ...address });
}

Deno.test("address: addresses", () => {
  for (
    const host of [
      "unix:///var/run/docker.sock",
      "unix:///x",
      "tcp://localhost:2375",
      "tcp://10.0.0.1:2375/",
      "tcp://[::1]:2375",
      "tcp://engine.example.org:2375",
    ]
  ) {
    endpoint({ host });
  }
  const wanted = "give unix:///path or tcp://host:port";
  for (
    const host of [
      "",
      "/var/run/docker.sock",
      "unix://",
      "unix:/var/run/docker.sock",
      "unix://var/run/docker.sock",
      "tcp://localhost",
      "tcp://:2375",
      "tcp://localhost:port",
      "tcp://localhost:2375/path",
      "tcp://::1:2375",
      "http://localhost:2375",
      "ssh://localhost",
      "fd://",
      "TCP://localhost:2375",
    ]
  ) {
    assertEquals(
      assertThrows(() => endpoint({ host }), EngineError).message,
      `can't reach an engine at ${host}: ${wanted}`,
    );
  }
  assertEquals(
    assertThrows(
      () => endpoint({ host: "unix:///x", certPath: "/c" }),
      EngineError,
    ).message,
    `can't reach an engine at unix:///x: ${wanted}, and certificates only ` +
      "with tcp",
  );
});

Deno.test("address: a certificate that can't be read", () => {
  const certPath = Deno.makeTempDirSync();
  try {
    for (const file of ["cert.pem", "key.pem", "ca.pem"]) {
      const host = "tcp://localhost:2376";
      const { message } = assertThrows(
        () => endpoint({ host, certPath, tlsVerify: true }),
        EngineError,
      );
      assertEquals(
        message.startsWith(`${certPath}/${file} can't be read: `),
        true,
        message,
      );
      Deno.writeTextFileSync(`${certPath}/${file}`, "");
    }
  } finally {
    Deno.removeSync(certPath, { recursive: true });
  }
});
