import { assertEquals } from "@std/assert";
import { checkTop } from "../../../../lib/policy/rules/top.ts";

Deno.test("top: what leaves PID where it seems to be passes", () => {
  for (
    const args of [
      "",
      " ",
      "-ef",
      "-eLf",
      "aux",
      "auxww",
      "-aux",
      "-l",
      "faux",
      "-o pid,cmd",
      "-opid,cmd",
      "-eo pid,ppid,user:20,%cpu,args",
      "axo pid,args",
      "-o pid -o args",
    ]
  ) {
    assertEquals(checkTop(args), undefined, args);
  }
});

Deno.test("top: what can make another column of it is refused", () => {
  for (
    const [args, word] of [
      ["axeo etimes= -o pid -o args", "axeo"],
      ["-o etimes=,pid", "-o"],
      ["-o args,pid", "-o"],
      ["-o pid,args,pid", "-o"],
      ["-o pid=x", "-o"],
      ["-o etimes=PID,pid", "-o"],
      ["-eo\tetimes=\npid", "-eo"],
      ["-O pid", "-O"],
      ["-Z", "-Z"],
      ["axZ", "axZ"],
      ["axh", "axh"],
      ["--format pid", "--format"],
      ["-o %p", "-o"],
      ["-C x", "-C"],
      ["-o", "-o"],
      ["k pid", "k"],
      ["-eo pid,\u00a0args", "-eo"],
    ]
  ) {
    const denied = checkTop(args);
    assertEquals(
      denied?.message.startsWith(
        `privileges: docker top with ${word} is not allowed, since`,
      ),
      true,
      args,
    );
  }
});
