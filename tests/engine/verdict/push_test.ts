/**
 * Pushes to Docker Hub whose tag moves after the plugin has looked at it. The
 * Hub is a registry on the engine's own loop-back, so that what got there can
 * be seen.
 */

import { eventually } from "../../helpers/waiting.ts";
import { Host } from "./third_line/host.ts";
import { hold } from "./third_line/held.ts";
import { Hub } from "./third_line/hub.ts";
import { registryTest } from "../registry.ts";
import { exchange, request } from "../raw_http.ts";
import { assert, assertEquals } from "../verdict.ts";

const RHEL = ['LABEL vendor="Red Hat, Inc."', 'LABEL name="rhel9"'];

registryTest("a push whose tag moves", async (t, h) => {
  const host = new Host(h);
  const hub = await Hub.start(host);
  const plain = await host.image("acme/plain:1", { files: { is: "plain" } });
  const other = await host.image("acme/other:1", { files: { is: "other" } });
  const rhel = await host.image("acme/rhel:1", {
    changes: RHEL,
    files: { is: "rhel" },
  });
  const moved = await Promise.all(
    Array.from({ length: 4 }, (_, at) =>
      host.image(`acme/rhel:moved-${at}`, {
        changes: RHEL,
        files: { is: `rhel ${at}` },
      })),
  );
  await host.guard("[push]\n");
  const tag = async (image: string) => {
    const { status } = await host.stranger.api(
      "POST",
      `/images/${image}/tag?repo=acme/app&tag=1`,
    );
    assertEquals(status, 201);
  };
  const push = (name: string, headers: [string, string][] = []) =>
    exchange(
      host.stranger.socket,
      request("POST", `/images/${name}/push?tag=1`, {
        headers: [["X-Registry-Auth", "e30="], ...headers],
      }),
      { timeout: 60_000 },
    );

  await t.step("the stand-in takes pushes, and the plugin looks", async () => {
    const [good] = await push("acme/plain");
    assertEquals(good.status, 200, good.body);
    await eventually("the Hub has it", () => hub.has(plain));
    const [bad] = await push("acme/rhel");
    assertEquals(bad.status, 403, bad.body);
    assert(!(await hub.has(rhel)));
  });
  await t.step("one that can carry a form pushes no RHEL", async () => {
    // As docker-java before 3.5 has it: neither a length nor a body.
    const bytes = request("POST", "/images/acme/other/push?tag=1", {
      headers: [["X-Registry-Auth", "e30="], [
        "Content-Type",
        "application/json",
      ]],
      bare: true,
    });
    const [answer] = await exchange(host.stranger.socket, bytes);
    // None of its tags is RHEL.
    assertEquals(answer.status, 200, answer.body);
    await eventually("the Hub has it", () => hub.has(other));
    await tag("acme/rhel:1");
    await host.stranger.api(
      "POST",
      "/images/acme/plain:1/tag?repo=acme/app&tag=2",
    );
    const [all] = await exchange(
      host.stranger.socket,
      request("POST", "/images/acme/app/push?tag=2", {
        headers: [["X-Registry-Auth", "e30="], [
          "Content-Type",
          "application/json",
        ]],
        bare: true,
      }),
    );
    assertEquals(all.status, 403, all.body);
  });

  const ways: [string, Parameters<typeof hold>[3]][] = [
    ["without a type", { type: null, body: '{"username":"acme"}' }],
    ["as JSON", { type: "application/json", body: '{"username":"acme"}' }],
    ["as a form", { body: "a=bcdef" }],
    ["as a form that names another tag", { body: "tag=1&xy=zz" }],
  ];
  for (const [at, [name, options]] of ways.entries()) {
    await t.step(`held back, ${name}`, async () => {
      await tag("acme/plain:1");
      const alerts = (await host.alerts("acme/app")).length;
      const held = await hold(
        host.stranger.socket,
        "POST",
        "/images/acme/app/push?tag=1",
        options,
      );
      await tag(`acme/rhel:moved-${at}`);
      await held.finish().catch(() => {});
      await eventually("the Hub has no RHEL, or an alert says so", async () => {
        return !(await hub.has(moved[at])) ||
          (await host.alerts("acme/app")).length > alerts;
      });
    });
  }
  await t.step("to elsewhere, in any form, it is free", async () => {
    await host.h.must("tag", "acme/rhel:1", "localhost:9/acme/rhel:1");
    const held = await hold(
      host.stranger.socket,
      "POST",
      "/images/localhost:9/acme/rhel/push?tag=1",
      { type: null, body: '{"username":"acme"}' },
    );
    const { text } = await held.finish();
    assert(!text.includes("authorization denied"), text);
  });
});
