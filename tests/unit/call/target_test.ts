import { assertEquals } from "@std/assert";
import { parseTarget } from "../../../lib/call/target.ts";

Deno.test("target: path, version and query", () => {
  for (
    const [uri, path, version, rawQuery] of [
      ["/containers/create", "/containers/create"],
      ["/v1.41/containers/create", "/containers/create", "1.41"],
      ["/v1/containers/create", "/containers/create", "1"],
      ["/v1.41.9/info", "/info", "1.41.9"],
      ["/v.../info", "/info", "..."],
      ["/v1.41/", "/", "1.41"],
      // These are no version prefixes to the router.
      ["/v1.41", "/v1.41"],
      ["/v/info", "/v/info"],
      ["/V1.41/info", "/V1.41/info"],
      ["/v1.41a/info", "/v1.41a/info"],
      ["/v1,41/info", "/v1,41/info"],
      ["/volumes/create", "/volumes/create"],
      ["//v1.41/info", "//v1.41/info"],
      // Only one is taken off.
      ["/v1.41/v1.40/info", "/v1.40/info", "1.41"],
      ["/v1.41//info", "//info", "1.41"],

      // Queries.
      ["/info?", "/info"],
      ["/info?a=b", "/info", undefined, "a=b"],
      ["/info?a=b?c#d", "/info", undefined, "a=b?c#d"],
      ["/info#x?a=b", "/info#x", undefined, "a=b"],
      ["/a%3Fb?c=%3F", "/a?b", undefined, "c=%3F"],

      // Percent-encoding: the engine routes on what is decoded.
      ["/v1.41/cont%61iners/cre%61te", "/containers/create", "1.41"],
      ["/containers%2Fcreate", "/containers/create"],
      ["/containers%2fcreate", "/containers/create"],
      ["/%761.41/containers/create", "/containers/create", "1.41"],
      ["/v1%2E41%2Fcontainers/create", "/containers/create", "1.41"],
      ["%2Fcontainers/create", "/containers/create"],
      ["/images/a%252Fb/json", "/images/a%2Fb/json"],
      ["/containers/a+b/start", "/containers/a+b/start"],
      ["/containers/a%2Bb%20c/start", "/containers/a+b c/start"],
      ["/containers/%C3%BC/start", "/containers/ü/start"],
      ["/v1.41/containers/a%0Ab/start", "/containers/a\nb/start", "1.41"],
      ["/containers/a%00b/start", "/containers/a\u0000b/start"],
      ["/containers/./create", "/containers/./create"],

      // Absolute form.
      ["http://h/v1.41/containers/create", "/containers/create", "1.41"],
      ["http:/x", "/x"],
      ["x:///y", "/y"],
      ["x:////y", "//y"],
      ["http://anything:1/info?a=b", "/info", undefined, "a=b"],
      ["HTTPS://u:p@[::1]:2/info", "/info"],
      ["a+b-c.9://h/info", "/info"],
      ["http://h", ""],
      ["http://h?/info", "", undefined, "/info"],
      ["http://h%2Finfo", ""],
      ["http:info", "info"],
      // No schemes.
      ["1http://h/info", "1http://h/info"],
      ["//h/info", "//h/info"],
      ["/x:y/info", "/x:y/info"],
      ["*", "*"],
    ] as [string, string, string?, string?][]
  ) {
    assertEquals(
      parseTarget(uri),
      {
        path,
        isUtf8: true,
        ...(version !== undefined && { version }),
        rawQuery: rawQuery ?? "",
      },
      uri,
    );
  }
});

Deno.test("target: a path that is not UTF-8 is read byte by byte", () => {
  for (
    const [uri, path] of [
      ["/containers/%zz/start", "/containers/%zz/start"],
      ["/containers/%4/start", "/containers/%4/start"],
      ["/containers/%", "/containers/%"],
      ["/containers/%ff/st%61rt", "/containers/\u00ff/start"],
      ["/v1.41/containers/%C0%AF/start", "/containers/\u00c0\u00af/start"],
    ]
  ) {
    const target = parseTarget(uri);
    assertEquals([target.path, target.isUtf8], [path, false], uri);
  }
});
