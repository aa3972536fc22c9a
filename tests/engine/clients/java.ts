/**
 * Java with the HTTP client that docker-java has.
 *
 * @module
 */
import { exists, run, which } from "../../helpers/programs.ts";

/** Debian's, of which none may be 5.3 or later. */
const JARS = ["httpclient5", "httpcore5", "httpcore5-h2", "slf4j-api"]
  .map((name) => `/usr/share/java/${name}.jar`);

/** What to say if there is none. */
export const JAVA_NEEDS = "no Java compiler with Apache HttpClient 5.2: " +
  "install default-jdk-headless, libhttpclient5-java and libslf4j-java";

/** @returns The command that runs a Java source; undefined if there is none. */
export async function javaWithHttpClient(): Promise<string[] | undefined> {
  const java = await which("java");
  if (!java) return undefined;
  for (const jar of JARS) {
    if (!await exists(jar)) return undefined;
  }
  // A Java that has no compiler can't run a source.
  const { stdout } = await run([java, "--list-modules"]);
  const command = [java, "-cp", JARS.join(":")];
  return stdout.includes("jdk.compiler@") ? command : undefined;
}
