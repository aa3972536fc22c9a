/**
 * The list of what the executable consists of (SBOM), in the form of CycloneDX.
 *
 * @module
 */
import { Contrib, Enums, Models, Serialize, Spec } from "cyclonedx";
import project from "../deno.json" with { type: "json" };
import { type Package, packages } from "./packages.ts";

const { ComponentType, ExternalReferenceType, HashAlgorithm } = Enums;
const { Component, ExternalReference, HashDictionary } = Models;

/**
 * Lists the plugin, the Deno in the executable, and the npm packages of
 * `deno.lock` that are in it, with licences and checksums.
 *
 * @param executable The executable.
 * @param time What the list is dated, in seconds since 1970.
 * @returns CycloneDX 1.6, as JSON; the same for the same content.
 * @throws {Error} If the executable doesn't say which Deno is in it, or the
 *   packages can't be told.
 */
export async function makeSbom(
  executable: string,
  time: number,
): Promise<string> {
  const plugin = new Component(ComponentType.Application, project.name, {
    bomRef: project.name,
    version: project.version,
    licenses: licenses(project.license),
    purl: `pkg:generic/${project.name}@${project.version}`,
  });
  const deno = denoComponent(await denoIn(executable));
  const { direct, all } = await packages();
  const components = new Map<string, Models.Component>();
  for (const [id, each] of all) components.set(id, await npmComponent(each));
  for (const [id, { dependencies }] of all) {
    for (const each of dependencies) {
      components.get(id)!.dependencies.add(components.get(each)!.bomRef);
    }
  }
  plugin.dependencies.add(deno.bomRef);
  for (const id of direct) plugin.dependencies.add(components.get(id)!.bomRef);

  const bom = new Models.Bom({
    metadata: new Models.Metadata({
      timestamp: new Date(time * 1000),
      lifecycles: new Models.LifecycleRepository([Enums.LifecyclePhase.Build]),
      component: plugin,
    }),
    components: new Models.ComponentRepository([deno, ...components.values()]),
  });
  const serializer = new Serialize.JsonSerializer(
    new Serialize.JSON.Normalize.Factory(Spec.Spec1dot6),
  );
  return serializer.serialize(bom, { sortLists: true, space: 2 }) + "\n";
}

/**
 * Deno tells servers its release (User-Agent), so that its number stands in
 * each of its executables. One for another processor can't be asked.
 */
async function denoIn(executable: string): Promise<string> {
  const text = new TextDecoder("latin1").decode(
    await Deno.readFile(executable),
  );
  const found = new Set(
    [...text.matchAll(/Deno\/([1-9]\d*\.\d+\.\d+)/g)].map(([, it]) => it),
  );
  if (found.size === 1) return [...found][0];
  throw new Error(
    `${executable} doesn't tell which Deno is in it (${
      [...found].join(", ") || "nothing found"
    })`,
  );
}

function denoComponent(version: string): Models.Component {
  const source = "https://github.com/denoland/deno";
  return new Component(ComponentType.Platform, "deno", {
    bomRef: `deno@${version}`,
    version,
    description: "JavaScript runtime; what it is built of is in its Cargo.lock",
    licenses: licenses("MIT"),
    purl: `pkg:github/denoland/deno@v${version}`,
    externalReferences: new Models.ExternalReferenceRepository([
      new ExternalReference(
        `${source}/tree/v${version}`,
        ExternalReferenceType.VCS,
      ),
    ]),
  });
}

async function npmComponent(
  { name, version, integrity, dir }: Package,
): Promise<Models.Component> {
  const { license, description } = JSON.parse(
    await Deno.readTextFile(`${dir}/package.json`),
  );
  const [scope, base] = name.startsWith("@") ? name.split("/") : ["", name];
  // A checksum of the lock file: "sha512-" and base 64.
  const sha512 = Uint8Array.fromBase64(integrity.replace(/^sha512-/, ""));
  return new Component(ComponentType.Library, base, {
    bomRef: `${name}@${version}`,
    group: scope || undefined,
    version,
    description,
    licenses: licenses(license),
    hashes: new HashDictionary([[HashAlgorithm["SHA-512"], sha512.toHex()]]),
    purl: `pkg:npm/${name.replace("@", "%40")}@${version}`,
    externalReferences: new Models.ExternalReferenceRepository([
      new ExternalReference(
        `https://registry.npmjs.org/${name}/-/${base}-${version}.tgz`,
        ExternalReferenceType.Distribution,
      ),
    ]),
  });
}

/** A licence as `package.json` names it; none if it doesn't. */
function licenses(name: string | undefined): Models.LicenseRepository {
  const factory = new Contrib.License.Factories.LicenseFactory(() => {});
  return new Models.LicenseRepository(
    name ? [factory.makeFromString(name)] : [],
  );
}
