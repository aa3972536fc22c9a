/**
 * Calls that the policy refuses, in their plainest spelling: what the attacks
 * respell.
 */

import type { Draft } from "./draft.ts";
import { fromValue } from "./json.ts";
import { COMMAND, MARK, serviceSpec, type World } from "./volumes.ts";
import { tar } from "../tar.ts";

/**
 * Makes a call, which may need to know IDs; undefined if this engine has no
 * such thing.
 */
type Seed = (world: World) => Partial<Draft> | undefined;

const JSON_TYPE: Draft["headers"] = [["Content-Type", "application/json"]];

function post(
  path: string,
  body?: unknown,
  query: string[] = [],
): Partial<Draft> {
  return {
    path,
    query,
    ...(body !== undefined && {
      body: fromValue(body),
      headers: [["Host", "docker"], ...JSON_TYPE],
    }),
  };
}

/** A create whose HostConfig has some fields. */
function create(
  hostConfig: Record<string, unknown>,
  more = {},
): Partial<Draft> {
  return post("/containers/create", {
    Image: "plain:1",
    Cmd: COMMAND,
    ...more,
    HostConfig: { NetworkMode: "none", ...hostConfig },
  });
}

/**
 * `start` with a HostConfig, as API 1.23 and older had it; only 20.10 still
 * speaks that.
 */
function startWith(
  world: World,
  hostConfig: unknown,
): Partial<Draft> | undefined {
  if (world.h.version.major > 20) return undefined;
  return { ...post("/containers/plain/start", hostConfig), version: "/v1.23" };
}

function updateService(
  world: World,
  mounts: Record<string, unknown>[],
  image?: string,
) {
  const service = world.services?.plain;
  return service && post(
    `/services/${service.id}/update`,
    serviceSpec("svc-plain", image ?? world.images.plain, mounts),
    [`version=${service.version}`],
  );
}

function createService(
  world: World,
  mounts: Record<string, unknown>[],
  image?: string,
) {
  return world.services &&
    post(
      "/services/create",
      serviceSpec("svc-evil", image ?? world.images.plain, mounts),
    );
}

const SEEDS: Record<string, Seed> = {
  "create: Volumes": () => create({}, { Volumes: { "/x": {} } }),
  "create: bind of one path": () => create({ Binds: ["/x"] }),
  "create: bind of a name": () => create({ Binds: ["evil:/x"] }),
  "create: bind of an old volume": () =>
    create({ Binds: ["/tmp:/y", "keep:/x:ro"] }),
  "create: mount of a volume": () =>
    create({ Mounts: [{ Type: "volume", Source: "evil", Target: "/x" }] }),
  "create: mount without a source": () =>
    create({
      Mounts: [{ Type: "bind", Source: "/tmp", Target: "/y" }, {
        Type: "volume",
        Target: "/x",
      }],
    }),
  "create: mount with options": () =>
    create({
      Mounts: [{
        Target: "/x",
        VolumeOptions: {
          DriverConfig: {
            Name: "local",
            Options: { type: "none", o: "bind", device: "/" },
          },
        },
        Type: "volume",
      }],
    }),
  "create: volumes-from": () => create({ VolumesFrom: ["old-named"] }),
  "create: image with a VOLUME": () => create({}, { Image: "vol:1" }),
  "create: image by its ID": ({ images }) =>
    create({}, { Image: images.volume }),
  "create: VOLUME not covered": () =>
    create({ Tmpfs: { "/data/": "" } }, { Image: "vol:1" }),
  "create: VOLUME and a platform": () => ({
    ...create({}, { Image: "vol:1" }),
    query: ["platform=linux%2Famd64"],
  }),
  // Up to 26.1 the fields of HostConfig are also read at the top.
  "create: at the top": ({ h }) =>
    h.version.major > 26 ? undefined : post("/containers/create", {
      Image: "plain:1",
      Cmd: COMMAND,
      Binds: ["evil:/x"],
      Mounts: [{ Type: "volume", Source: "evil", Target: "/y" }],
    }),
  "start: named volume": () => post("/containers/old-named/start"),
  "start: by ID": ({ containers }) =>
    post(`/containers/${containers["old-anonymous"]}/start`),
  "start: by a short ID": ({ containers }) =>
    post(
      `/containers/${containers["old-image"].slice(0, 12)}/start`,
      undefined,
      ["t=1"],
    ),
  "start: with binds": (world) => startWith(world, { Binds: ["evil:/x"] }),
  "start: with mounts": (world) =>
    startWith(world, {
      HostConfig: {
        Mounts: [{ Type: "volume", Source: "evil", Target: "/x" }],
      },
    }),
  "start: with volumes-from": (world) =>
    startWith(world, { VolumesFrom: ["old-named"], Binds: ["/tmp:/y"] }),
  "restart: volumes-from": () =>
    post("/containers/old-from/restart", undefined, ["t=0"]),
  "restart: volume of the image": () =>
    post("/containers/old-image/restart", undefined, ["t=0"]),
  "update: restart policy": () =>
    post("/containers/old-named/update", {
      Memory: 0,
      RestartPolicy: { Name: "always" },
    }),
  "update: on failure": ({ containers }) =>
    post(`/containers/${containers["old-image"]}/update`, {
      RestartPolicy: { Name: "on-failure", MaximumRetryCount: 3 },
    }),
  "archive: into a volume": () => ({
    method: "PUT",
    path: "/containers/old-named/archive",
    query: ["path=/data"],
    headers: [["Host", "docker"], ["Content-Type", "application/x-tar"]],
    body: tar([{ path: MARK, content: new Uint8Array() }]),
  }),
  "service create: volume": (world) =>
    createService(world, [{ Type: "volume", Source: "evil", Target: "/x" }]),
  "service create: anonymous": (world) =>
    createService(world, [{ Target: "/y", Source: "/tmp" }, {
      Type: "volume",
      Target: "/x",
    }]),
  "service create: image with a VOLUME": (world) =>
    createService(world, [], world.images.volume),
  "service create: VOLUME not covered": (world) =>
    createService(
      world,
      [{ Type: "tmpfs", Target: "/dat" }],
      world.images.volume,
    ),
  "service update: volume": (world) =>
    updateService(world, [{ Type: "volume", Source: "evil", Target: "/x" }]),
  "service update: image with a VOLUME": (world) =>
    updateService(world, [], world.images.volume),
  "service update: back to a volume": (world) => {
    const service = world.services?.old;
    return service && post(
      `/services/${service.id}/update`,
      serviceSpec("svc-old", world.images.plain),
      [
        "registryAuthFrom=spec",
        "rollback=previous",
        `version=${service.version}`,
      ],
    );
  },
};

/**
 * The calls that make sense on an engine.
 *
 * @param world the engine
 * @returns the calls by name
 */
export function seedsFor(world: World): Record<string, Partial<Draft>> {
  const seeds: Record<string, Partial<Draft>> = {};
  for (const [name, seed] of Object.entries(SEEDS)) {
    const call = seed(world);
    if (call) seeds[name] = call;
  }
  return seeds;
}
