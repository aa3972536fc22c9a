import { assertEquals } from "@std/assert";
import { parseOldImages } from "../../../lib/config/old_images.ts";
import { showConfig } from "../../../lib/config/show.ts";
import { problemLines, problems } from "./problems.ts";

Deno.test("old images: docker-image-policy's JSON", () => {
  const images = {
    from: "x.json",
    whitelist: [],
    blacklist: [],
    "default-allow": false,
    "allow-import": false,
    enforce: true,
    "allow-user": [],
    "allow-group": [],
    // As they were with it.
    "allow-build": true,
    "allow-load": true,
  };
  const read = (text: string) => showConfig(parseOldImages("x.json", text));
  assertEquals(read("{}"), { images });
  assertEquals(
    read(`{
      "whitelist": ["^alpine:"],
      "blacklist": ["^docker:"],
      "defaultAllow": true
    }`),
    {
      images: {
        ...images,
        whitelist: ["^alpine:"],
        blacklist: ["^docker:"],
        "default-allow": true,
      },
    },
  );
  assertEquals(
    read('{"WhiteList":["^a:"],"DEFAULTALLOW":true,"blacklist":null}'),
    { images: { ...images, whitelist: ["^a:"], "default-allow": true } },
  );
  for (
    const [text, line] of [
      ['{"whitelist":\n"^alpine:"}', "1"],
      ['{\n"blacklist": ["^a:",\n"("]}', "3"],
      ['{\n\n"defaultAllow": "yes"}', "3"],
      ['{\n"whitelist": [],\n}', "3"],
      ["null", "1"],
    ]
  ) {
    const given = problemLines(() => parseOldImages("x.json", text));
    assertEquals(given.map((problem) => /^\w+/.exec(problem)?.[0]), [line]);
  }
});

Deno.test("old images: mistakes, each with its place", () => {
  for (
    const [text, ...expected] of [
      // Keys that the plugin never knew, such as those of a daemon.json.
      [
        '{"white_list": ["^a:"],\n"hosts": [], "blacklist": 1}',
        "1:2: unknown key white_list: expected one of whitelist, blacklist, " +
        "defaultAllow",
        "2:1: unknown key hosts: expected one of whitelist, blacklist, " +
        "defaultAllow",
        '2:14: blacklist is 1: expected a list of strings, such as ["one", "two"]',
      ],
      [
        '{"whitelist": [], "WhiteList": ["^a:"]}',
        "1:19: WhiteList is there twice: keep one of them",
      ],
      [
        '{"whitelist": [""]}',
        '1:16: whitelist: pattern "" matches every image: leave it out, or ' +
        "set default-allow",
      ],
      ["[]", "1:1: expected an object"],
      ["{} x", "1:4: not JSON: Unexpected character 'x' found."],
      [
        '{"whitelist": ["a\tb"]}',
        "not JSON: Bad control character in string literal in JSON at " +
        "position 17 (line 1 column 18)",
      ],
    ]
  ) {
    assertEquals(problems(() => parseOldImages("x.json", text)), expected);
  }
});
