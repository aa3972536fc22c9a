/**
 * An engine behind TLS: who is who by client certificates, and a plugin that
 * asks over TLS itself.
 *
 * The users and groups are the tests' own: the plugin sees other files in place
 * of /etc/passwd and /etc/group, in a mount namespace that ends with it.
 */

import { whyNo } from "../helpers/programs.ts";
import { engineTest, type Harness, type TestOptions } from "./harness.ts";
import { answers, Plugin } from "./plugin.ts";
import {
  Authority,
  type Certificate,
  writeCertPath,
} from "./tls_certificates.ts";
import { assert, assertEquals, passes, refused, saidBy } from "./verdict.ts";

const noOpenssl = await whyNo({ openssl: "openssl" });

const PASSWD = `root:x:0:0:root:/root:/bin/sh
ann:x:2001:2001::/:/bin/sh
bob:x:2002:3000::/:/bin/sh
eve:x:2003:2003::/:/bin/sh
2004:x:2004:3000::/:/bin/sh
`;
const GROUP = `root:x:0:
ann:x:2001:
eve:x:2003:
storage:x:3000:ann,jörg
domain users:x:3001:eve
0:x:4000:eve
`;

/** An engine that listens on TCP behind TLS too. */
interface Behind {
  /** `127.0.0.1:port`. */
  address: string;
  ca: Authority;
}

/** Registers a test of an engine behind TLS. */
function tlsTest(
  name: string,
  body: (t: Deno.TestContext, h: Harness, tls: Behind) => Promise<void>,
): void {
  // Of the host's network, since the plugin and the clients are there. The
  // arguments follow below: the certificates have to be where the engine sees
  // them, in its folder, and it has none before it starts.
  const options: TestOptions = { network: "host", skip: noOpenssl };
  engineTest(name, async (t, h) => {
    const ca = await Authority.create(`${h.dir}/ca`);
    const server = await ca.server("IP:127.0.0.1");
    const dir = await writeCertPath(`${h.dir}/server`, server, ca.cert);
    const address = `127.0.0.1:${freePort()}`;
    options.args = [
      ...["-H", `tcp://${address}`, "--tlsverify"],
      ...["--tlscacert", `${dir}/ca.pem`, "--tlscert", `${dir}/cert.pem`],
      ...["--tlskey", `${dir}/key.pem`],
    ];
    await h.dockerd.restart();
    await body(t, h, { address, ca });
  }, options);
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return (listener.addr as Deno.NetAddr).port;
}

/** One request to the engine over TLS. */
async function call(
  { address, ca }: Behind,
  who: Certificate | undefined,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<{ status: number; message: string; body: string }> {
  using client = Deno.createHttpClient({ caCerts: [ca.cert], ...who });
  const response = await fetch(`https://${address}${path}`, {
    method,
    client,
    ...(body !== undefined && { body: JSON.stringify(body) }),
    headers: {
      ...(body !== undefined && { "Content-Type": "application/json" }),
      ...headers,
    },
  });
  const text = await response.text();
  return {
    status: response.status,
    message: response.ok ? "" : text,
    body: text,
  };
}

const BODY = { Image: "plain:1", HostConfig: { Binds: ["data:/x"] } };

/** A pattern in what refuses it. */
const REFUSED = /volumes are not allowed: named volume \\"data\\"/;

tlsTest("exempt users by client certificates", async (t, h, tls) => {
  await h.image("plain:1");
  await h.must("volume", "create", "data");
  const { ca } = tls;

  await Deno.writeTextFile(`${h.dir}/passwd`, PASSWD);
  await Deno.writeTextFile(`${h.dir}/group`, GROUP);
  const script =
    'mount --bind "$0/passwd" /etc/passwd && mount --bind "$0/group" /etc/group && exec "$@"';
  /** Puts a plugin with these settings in front of the engine. */
  const guard = async (config: string) => {
    const plugin = await Plugin.launch({
      socket: h.pluginSocket,
      host: `unix://${h.dockerd.socket}`,
      dir: h.dir,
      config,
      wrap: ["unshare", "--mount", "sh", "-c", script, h.dir],
    });
    await answers(h.pluginSocket);
    await h.dockerd.setPlugins([h.pluginName]);
    return {
      async [Symbol.asyncDispose]() {
        await h.dockerd.setPlugins([]);
        await plugin.kill();
      },
    };
  };

  /** Whether a create with a volume passes, and what it made is gone again. */
  const isExempt = async (
    who: Certificate | undefined,
    headers: Record<string, string> = {},
    path = "/containers/create?name=web",
  ): Promise<boolean> => {
    const answer = await call(tls, who, "POST", path, BODY, headers);
    const made = await h.container("web");
    assertEquals(
      made?.mounts,
      answer.status === 201 ? ["volume data /x"] : undefined,
    );
    if (answer.status !== 201) {
      assertEquals(answer.status, 403, answer.body);
      assert(REFUSED.test(answer.body), answer.body);
    }
    if (made) await h.api("DELETE", "/containers/web");
    return answer.status === 201;
  };

  const people: [subject: string, exempt: boolean, why: string][] = [
    ["/CN=dwalsh", true, "by name"],
    ["/O=acme/OU=ops/CN=dwalsh", true, "by name, among other parts"],
    ["/CN=ann", true, "by a group that lists her"],
    ["/CN=bob", true, "by his own group"],
    ["/CN=jörg", false, "whom a group lists, but the host does not know"],
    ["/CN=eve", false, "in no such group"],
    ["/CN=mallory", false, "unknown to the host"],
    ["/CN=root", false, "in no such group"],
    ["/O=dwalsh", false, "no common name"],
    ["/O=dwalsh/emailAddress=dwalsh", false, "no common name"],
    ["/UID=dwalsh", false, "no common name"],
    ["/CN=Dwalsh", false, "letter case"],
    ["/CN=dwalsh ", false, "a space behind"],
    ["/CN= dwalsh", false, "a space in front"],
    ["/CN=dwalsh,eve", false, "a list"],
    ["/CN=ann\u0301", false, "an accent"],
    ["/CN=ANN", false, "letter case, for a group"],
    ["/CN=storage", false, "a group's name"],
    ["/CN=2001", false, "a user's number"],
    ["/CN=\\+2001", false, "a user's number behind a plus"],
    ["/CN= 2001", false, "a user's number behind a space"],
    ["/CN=0x7d1", false, "a user's number, hexadecimal"],
    ["/CN=2004", false, "a user whose name is a number"],
    ["/CN=-u", false, "an option"],
    ["/CN=--", false, "the end of options"],
    ["/CN=--help", false, "a long option"],
    ["/CN=-Gnz ann", false, "options and a user"],
    ["/CN=ann\\/..", false, "a path"],
    ["/CN=$(id ann)", false, "a shell's words"],
    ["/CN=ann\n", false, "a line feed"],
    ["/CN=%61nn", false, "an escape"],
    // Go keeps the last of several.
    ["/CN=dwalsh/CN=eve", false, "a second name after that of a user"],
    ["/CN=eve/CN=dwalsh", true, "a second name before that of a user"],
    ["/CN=", false, "an empty common name"],
  ];
  const certificates = new Map<string, Certificate>();
  for (const [subject] of people) {
    certificates.set(subject, await ca.client(subject));
  }
  const person = (subject: string) => {
    const certificate = certificates.get(subject);
    if (!certificate) throw new Error(`no certificate for ${subject}`);
    return certificate;
  };

  {
    await using _plugin = await guard(
      '[volumes]\nallow-user = ["dwalsh"]\nallow-group = ["storage"]\n',
    );
    for (const [subject, exempt, why] of people) {
      await t.step(
        `${JSON.stringify(subject)} ${exempt ? "is" : "is not"}: ${why}`,
        async () => assertEquals(await isExempt(person(subject)), exempt),
      );
    }

    await t.step("a name among the alternative ones is none", async () => {
      const who = await ca.client("/O=acme", [
        "subjectAltName=DNS:dwalsh,email:dwalsh@acme,otherName:1.3.6.1.4.1.311.20.2.3;UTF8:dwalsh",
      ]);
      assertEquals(await isExempt(who), false);
    });

    await t.step(
      "headers make nobody exempt, and take nothing from who is",
      async () => {
        const names = ["User", "Authz-User", "AuthZ-User", "X-Authz-User"];
        for (
          const name of [
            ...names,
            ...["Authorization", "X-Remote-User", "X-Forwarded-User", "From"],
            ...[
              "UserAuthNMethod",
              "RequestPeerCertificates",
              "X-Registry-Auth",
            ],
          ]
        ) {
          for (const who of ["/CN=eve", "/O=dwalsh"]) {
            assertEquals(
              await isExempt(person(who), { [name]: "dwalsh" }),
              false,
              `${name} of ${who}`,
            );
          }
          assertEquals(
            await isExempt(person("/CN=dwalsh"), { [name]: "eve" }),
            true,
            name,
          );
        }
      },
    );
    await t.step("nor does a name in the address or the query", async () => {
      const eve = person("/CN=eve");
      for (const key of ["User", "user", "authz-user"]) {
        const path = `/containers/create?name=web&${key}=dwalsh`;
        assertEquals(await isExempt(eve, {}, path), false, path);
      }
    });

    await t.step("the same by the docker client", async () => {
      for (
        const [subject, exempt] of [["/CN=ann", true], [
          "/CN=eve",
          false,
        ]] as const
      ) {
        const dir = await writeCertPath(
          `${h.dir}/client-${subject.slice(4)}`,
          person(subject),
          ca.cert,
        );
        const docker = (...args: string[]) =>
          h.docker(
            ...["--host", `tcp://${tls.address}`, "--tlsverify"],
            ...["--tlscacert", `${dir}/ca.pem`, "--tlscert", `${dir}/cert.pem`],
            ...["--tlskey", `${dir}/key.pem`],
            ...args,
          );
        const run = () =>
          docker("run", "--rm", "-v", "data:/x", "plain:1", "true");
        if (exempt) await passes(h, run);
        else {await refused(
            h,
            run,
            'volumes are not allowed: named volume "data"',
          );}
        await passes(h, () => docker("run", "--rm", "plain:1", "true"));
      }
    });

    await t.step("what an exempt user made, others can't start", async () => {
      const ann = person("/CN=ann");
      const path = "/containers/create?name=hers";
      assertEquals((await call(tls, ann, "POST", path, BODY)).status, 201);
      const start = "/containers/hers/start";
      for (const subject of ["/CN=eve", "/O=dwalsh"]) {
        const answer = await call(tls, person(subject), "POST", start);
        assertEquals(answer.status, 403, answer.body);
        assert(/container hers has volume/.test(answer.body), answer.body);
      }
      assertEquals((await h.container("hers"))?.running, false);
      assertEquals((await call(tls, ann, "POST", start)).status, 204);
      assertEquals((await h.container("hers"))?.running, true);
      await h.api("DELETE", "/containers/hers?force=1");
    });

    await t.step("the unix socket is nobody's", async () => {
      await refused(
        h,
        () => h.api("POST", "/containers/create", BODY),
        'volumes are not allowed: named volume "data"',
      );
    });

    await t.step(
      "the engine lets nobody in without a certificate of its authority",
      async () => {
        const other = await Authority.create(`${h.dir}/other-ca`);
        for (const who of [undefined, await other.client("/CN=dwalsh")]) {
          const answer = await call(tls, who, "GET", "/_ping").then(
            ({ status }) => status,
            () => "no connection",
          );
          assertEquals(answer, "no connection");
        }
      },
    );
  }

  await t.step("root is, where root's group is", async () => {
    await using _plugin = await guard('[volumes]\nallow-group = ["root"]\n');
    assertEquals(await isExempt(person("/CN=root")), true);
    for (
      const subject of ["/CN=ann", "/CN=2001", "/O=dwalsh", "/CN=--", "/CN="]
    ) {
      assertEquals(await isExempt(person(subject)), false, subject);
    }
  });
  await t.step(
    "a group whose name has a space, and one whose name is a number",
    async () => {
      for (const group of ["domain users", "0"]) {
        await using _plugin = await guard(
          `[volumes]\nallow-group = ["${group}"]\n`,
        );
        assertEquals(await isExempt(person("/CN=eve")), true, group);
        for (const subject of ["/CN=root", "/CN=ann", "/O=dwalsh"]) {
          assertEquals(await isExempt(person(subject)), false, subject);
        }
      }
    },
  );
  await t.step(
    "a name that no user of a host can have is one all the same",
    async () => {
      await using _plugin = await guard(
        '[volumes]\nallow-user = ["2001", "--help", "ann\\u0301", ""]\n',
      );
      for (const subject of ["/CN=2001", "/CN=--help", "/CN=ann\u0301"]) {
        assertEquals(await isExempt(person(subject)), true, subject);
      }
      for (const subject of ["/CN=ann", "/O=dwalsh", "/CN="]) {
        assertEquals(await isExempt(person(subject)), false, subject);
      }
    },
  );
});

tlsTest("a plugin that asks over TLS", async (t, h, tls) => {
  await h.image("plain:1");
  await h.image("vol:1", { changes: ["VOLUME /data"] });
  const { ca, address } = tls;
  const other = await Authority.create(`${h.dir}/other-ca`);
  const plugin = await ca.client("/CN=plugin");
  const paths = {
    right: await writeCertPath(`${h.dir}/right`, plugin, ca.cert),
    wrongCa: await writeCertPath(`${h.dir}/wrong-ca`, plugin, other.cert),
    stranger: await writeCertPath(
      `${h.dir}/stranger`,
      await other.client("/CN=plugin"),
      ca.cert,
    ),
  };
  const run = (image: string) => () =>
    h.docker("run", "--rm", image, "echo", "it runs");

  const working: [name: string, args: string[]][] = [
    ["--tls-verify", ["--cert-path", paths.right, "--tls-verify"]],
    ["Go's spelling", [`-cert-path=${paths.right}`, "-tls-verify=1"]],
    ["no --tls-verify", ["--cert-path", paths.right]],
    [
      "no --tls-verify, and another authority",
      ["--cert-path", paths.wrongCa],
    ],
  ];
  for (const [name, args] of working) {
    await t.step(`works: ${name}`, async () => {
      await h.guard({ host: `tcp://${address}`, args });
      assertEquals((await passes(h, run("plain:1"))).stdout, "it runs\n");
      await refused(
        h,
        run("vol:1"),
        "volumes are not allowed: image vol:1 declares VOLUME /data",
      );
    });
  }

  const failing: [name: string, host: string, args: string[], why: RegExp][] = [
    [
      "an engine of another authority",
      address,
      ["--cert-path", paths.wrongCa, "--tls-verify"],
      /certificate|issuer/i,
    ],
    [
      "an engine of another name",
      address.replace("127.0.0.1", "localhost"),
      ["--cert-path", paths.right, "--tls-verify"],
      /localhost.*(altnames|certificate|name)/i,
    ],
    [
      "a certificate that the engine does not know",
      address,
      ["--cert-path", paths.stranger, "--tls-verify"],
      /certificate|alert|authority/i,
    ],
    ["no certificate, and no TLS", address, [], /HTTP 400|ping/],
    ["nobody there", `127.0.0.1:${freePort()}`, [], /refused/i],
  ];
  for (const [name, host, args, why] of failing) {
    await t.step(`refuses, and says why: ${name}`, async () => {
      await h.guard({ host: `tcp://${host}`, args });
      const answer = await h.docker("run", "plain:1", "true");
      assert(answer.code !== 0);
      const said = saidBy(h, answer.stderr) ?? answer.stderr;
      assert(said.startsWith("engine can't be asked: "), said);
      assert(why.test(said), said);
      assertEquals(await h.state(), {
        containers: [],
        volumes: [],
        services: [],
      });
    });
  }

  const unstartable: [name: string, args: string[], why: RegExp][] = [
    [
      "no such folder",
      ["--cert-path", `${h.dir}/nowhere`],
      /nowhere\/cert\.pem can't be read/,
    ],
    [
      "certificates for a unix socket",
      ["--cert-path", paths.right, "--host", `unix://${h.dockerd.socket}`],
      /certificates only with tcp/,
    ],
    [
      "an address without a port",
      ["--host", "tcp://127.0.0.1"],
      /tcp:\/\/host:port/,
    ],
  ];
  for (const [name, args, why] of unstartable) {
    await t.step(`does not start, and says why: ${name}`, async () => {
      const problem = await Plugin.start({
        socket: `${h.dir}/unstartable.sock`,
        host: `tcp://${address}`,
        dir: h.dir,
        args,
      }).then(() => "it started", (error: Error) => error.message);
      assert(why.test(problem), problem);
    });
  }
});
