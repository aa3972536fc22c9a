import { assertEquals } from "@std/assert";
import { FakeClock } from "../fake_clock.ts";
import { scripted } from "./scripted.ts";

Deno.test("host: what the engine says of itself", async () => {
  const { engine, sent } = scripted("1.56", {
    "/info": {
      DefaultRuntime: "runc",
      LoggingDriver: "json-file",
      SecurityOptions: [
        "name=apparmor",
        "name=seccomp,profile=builtin",
        "name=cgroupns",
      ],
      CgroupVersion: "2",
      ExperimentalBuild: false,
      DockerRootDir: "/data/docker",
    },
  });
  const facts = {
    apiVersion: "1.56",
    defaultRuntime: "runc",
    defaultLogDriver: "json-file",
    remapsUsers: false,
    hasOwnCgroups: true,
    hasBuiltinSeccomp: true,
    noNewPrivileges: false,
    isExperimental: false,
    rootDirectory: "/data/docker",
  };
  assertEquals(await engine.hostFacts(), facts);
  // It is remembered for a while.
  assertEquals(await engine.hostFacts(), facts);
  assertEquals(sent, ["GET /v1.51/info"]);
});

Deno.test("host: a clock that goes back keeps nothing for long", async () => {
  using clock = new FakeClock();
  const { engine, sent } = scripted("1.51", { "/info": {} });
  await engine.hostFacts();
  clock.set(-86_400_000);
  await engine.hostFacts();
  assertEquals(sent.length, 1);
  await clock.pass(10_001);
  await engine.hostFacts();
  assertEquals(sent.length, 2);
});

Deno.test("host: other settings, and an engine that says little", async () => {
  const of = async (info: unknown) =>
    await scripted("1.41", { "/info": info }).engine.hostFacts();
  const nothing = await of({});
  assertEquals(nothing.hasBuiltinSeccomp, false);
  assertEquals(nothing.hasOwnCgroups, false);
  const { remapsUsers, noNewPrivileges, hasBuiltinSeccomp, hasOwnCgroups } =
    await of({
      SecurityOptions: [
        "name=seccomp,profile=/etc/docker/seccomp.json",
        "name=userns",
        "name=no-new-privileges",
        "name=cgroupns",
      ],
      CgroupVersion: "1",
    });
  assertEquals(
    { remapsUsers, noNewPrivileges, hasBuiltinSeccomp, hasOwnCgroups },
    {
      remapsUsers: true,
      noNewPrivileges: true,
      hasBuiltinSeccomp: false,
      hasOwnCgroups: false,
    },
  );
});

Deno.test("host: how a container is to run, an exec, a service, a network", async () => {
  const { engine } = scripted("1.41", {
    "/containers/web/json": {
      Config: { User: "1000" },
      HostConfig: { PidMode: "host", CapAdd: null, OomScoreAdj: 5 },
    },
    "/containers/gone/json": 404,
    "/exec/e/json": {
      ContainerID: "web",
      ProcessConfig: { privileged: true, entrypoint: "sh" },
    },
    "/exec/gone/json": 404,
    "/services/new": { Spec: {} },
    "/services/old": {
      PreviousSpec: {
        TaskTemplate: { ContainerSpec: { CapabilityAdd: ["CAP_SYS_ADMIN"] } },
      },
    },
    "/networks/n": { Driver: "host" },
    "/networks/gone": 404,
  });
  const { options } = (await engine.inspectOptions("web"))!;
  assertEquals(
    [options.user, options.modes.pid, options.oomScoreAdj, options.capAdd],
    ["1000", "host", 5, []],
  );
  assertEquals(await engine.inspectOptions("gone"), undefined);
  assertEquals(await engine.inspectExec("e"), {
    container: "web",
    privileged: true,
    user: "",
  });
  assertEquals(await engine.inspectExec("gone"), undefined);
  assertEquals(await engine.inspectPreviousService("new"), undefined);
  assertEquals(
    (await engine.inspectPreviousService("old"))?.container.capAdd,
    ["CAP_SYS_ADMIN"],
  );
  assertEquals(await engine.networkDriver("n"), "host");
  assertEquals(await engine.networkDriver("gone"), "");
});
