import { assertEquals, assertMatch } from "@std/assert";
import { Kept } from "../../../lib/verdict/kept.ts";

/** Runs with a directory of its own, and away with it. */
async function inDirectory(
  test: (directory: string) => Promise<void>,
): Promise<void> {
  const directory = await Deno.makeTempDir();
  try {
    await test(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

const A = "a".repeat(64);

Deno.test("kept: what one process keeps, the next one has", async () => {
  await inDirectory(async (directory) => {
    const kept = Kept.open(directory);
    assertEquals([kept.watchedUntil, kept.problem], [0, undefined]);
    kept.watchedUntil = 1234567890123;
    kept.undecided.add("undecided");
    kept.builds.set("alice /build?t=x", [1, 2]);
    await kept.keep("containers", A, "exempt", "volumes");
    await kept.keep("containers", A, "exempt", "images");
    await kept.keep("containers", "b", "before", "volumes");
    await kept.keep("services", "s", "exempt", "volumes");

    const next = Kept.open(directory);
    assertEquals(next.problem, undefined);
    assertEquals(next.watchedUntil, 1234567890123);
    assertEquals([...next.undecided], ["undecided"]);
    assertEquals([...next.builds], [["alice /build?t=x", [1, 2]]]);
    assertEquals([...next.containers], [
      [A, { because: "exempt", sections: ["volumes", "images"] }],
      ["b", { because: "before", sections: ["volumes"] }],
    ]);
    assertEquals([...next.services], [
      ["s", { because: "exempt", sections: ["volumes"] }],
    ]);
    next.containers.delete(A);
    next.undecided.clear();
    next.builds.clear();
    await next.save();
    const last = Kept.open(directory);
    assertEquals([...last.containers.keys()], ["b"]);
    assertEquals([last.undecided.size, last.builds.size], [0, 0]);
  });
});

Deno.test("kept: nobody else reads the file, and nothing lies beside it", async () => {
  await inDirectory(async (directory) => {
    await Kept.open(directory).keep("containers", A, "exempt", "volumes");
    const files = [...Deno.readDirSync(directory)].map(({ name }) => name);
    assertEquals(files, ["kept.json"]);
    const { mode } = await Deno.stat(`${directory}/kept.json`);
    assertEquals(mode! & 0o777, 0o600);
  });
});

Deno.test("kept: what is kept already costs no write", async () => {
  await inDirectory(async (directory) => {
    const kept = Kept.open(directory);
    await kept.keep("containers", A, "exempt", "volumes");
    await Deno.remove(`${directory}/kept.json`);
    await kept.keep("containers", A, "exempt", "volumes");
    assertEquals([...Deno.readDirSync(directory)], []);
  });
});

Deno.test("kept: without a directory nothing outlives the process", async () => {
  const kept = Kept.open(undefined);
  await kept.keep("containers", A, "exempt", "volumes");
  await kept.save();
  assertEquals([kept.containers.size, kept.problem], [1, undefined]);
});

Deno.test("kept: a file of another form counts as none, and is told", async () => {
  const whole = {
    watchedUntil: 1,
    containers: {},
    services: {},
    undecided: [],
    creates: {},
    stood: [],
    builds: {},
  };
  await inDirectory(async (directory) => {
    const file = `${directory}/kept.json`;
    for (
      const content of [
        "",
        "{",
        "null",
        "[]",
        "\u0000".repeat(100),
        JSON.stringify(whole).slice(0, -1),
        ...[
          {},
          { ...whole, watchedUntil: "1" },
          { ...whole, watchedUntil: undefined },
          { ...whole, undecided: {} },
          { ...whole, containers: null },
          { ...whole, containers: { a: null } },
          { ...whole, containers: { a: {} } },
          { ...whole, containers: { a: { because: "exempt" } } },
          { ...whole, services: { a: { because: "x", sections: [] } } },
          { ...whole, services: 7 },
          { ...whole, builds: undefined },
          { ...whole, builds: { a: 7 } },
        ].map((each) => JSON.stringify(each)),
      ]
    ) {
      await Deno.writeTextFile(file, content);
      const kept = Kept.open(directory);
      assertMatch(kept.problem ?? "", /kept\.json can't be read: ./, content);
      assertEquals(
        [kept.watchedUntil, kept.containers.size, kept.undecided.size],
        [0, 0, 0],
      );
    }
    await Deno.writeTextFile(file, JSON.stringify(whole));
    assertEquals(Kept.open(directory).problem, undefined);
    // The next write mends it.
    await Deno.writeTextFile(file, "{");
    const kept = Kept.open(directory);
    await kept.keep("containers", A, "exempt", "volumes");
    assertEquals(kept.problem, undefined);
    assertEquals(Kept.open(directory).containers.size, 1);
  });
});

Deno.test("kept: a file that can't be read is told, too", async () => {
  await inDirectory(async (directory) => {
    await Deno.mkdir(`${directory}/kept.json`);
    assertMatch(
      Kept.open(directory).problem ?? "",
      /kept\.json can't be read: ./,
    );
  });
});

Deno.test("kept: a disk that is full costs nobody a call, and is told", async () => {
  await inDirectory(async (directory) => {
    const kept = Kept.open(directory);
    await kept.keep("containers", "before", "exempt", "volumes");
    // Whatever is written there finds the disk full.
    await Deno.symlink("/dev/full", `${directory}/kept.json.new`);
    await kept.keep("containers", A, "exempt", "volumes");
    assertMatch(
      kept.problem ?? "",
      /kept\.json can't be written: .*No space left/,
    );
    assertEquals(kept.containers.size, 2);
    // What was there before is still there.
    assertEquals([...Kept.open(directory).containers.keys()], ["before"]);
    await Deno.remove(`${directory}/kept.json.new`);
    await kept.save();
    assertEquals(kept.problem, undefined);
    assertEquals(Kept.open(directory).containers.size, 2);
  });
  const kept = Kept.open("/nonexistent/directory");
  assertEquals(kept.problem, undefined); // There is no file yet.
  await kept.save();
  assertMatch(kept.problem ?? "", /kept\.json can't be written: ./);
});

Deno.test("kept: many that save at once share the writes, and lose nothing", async () => {
  await inDirectory(async (directory) => {
    const kept = Kept.open(directory);
    const ids = Array.from({ length: 200 }, (_, i) => `c${i}`);
    await Promise.all(ids.map(async (id, i) => {
      for (let turn = 0; turn < i % 7; turn++) await kept.save();
      await kept.keep("containers", id, "exempt", "volumes");
      // What was kept is on the disk by now, whoever wrote it.
      const { containers } = JSON.parse(
        Deno.readTextFileSync(`${directory}/kept.json`),
      );
      assertEquals(Object.hasOwn(containers, id), true, id);
    }));
    assertEquals(kept.problem, undefined);
    assertEquals(Kept.open(directory).containers.size, ids.length);
  });
});

Deno.test("kept: the file is whole at any time", async () => {
  await inDirectory(async (directory) => {
    const kept = Kept.open(directory);
    await kept.save();
    let writing = true;
    const writes = (async () => {
      for (let i = 0; i < 50; i++) {
        await kept.keep("containers", `c${i}`, "exempt", "volumes");
      }
      writing = false;
    })();
    while (writing) {
      assertEquals(Kept.open(directory).problem, undefined);
      await new Promise((done) => setTimeout(done));
    }
    await writes;
  });
});

Deno.test("kept: whose settings something is judged by", async () => {
  await inDirectory(async (directory) => {
    const kept = Kept.open(directory);
    const judged = () => Kept.open(directory).containers.get(A);
    const ops = { because: "exempt", sections: [], for: ["ops"] };
    // Everybody's hold without an entry.
    await kept.judgeBy("containers", A, "");
    await kept.judgeAlsoBy("containers", A, "");
    assertEquals(kept.containers.size, 0);
    await kept.judgeBy("containers", A, "ops");
    assertEquals(judged(), ops as ReturnType<typeof judged>);
    await kept.judgeAlsoBy("containers", A, "ops");
    await kept.judgeAlsoBy("containers", A, "");
    await kept.keep("containers", A, "before", "volumes");
    assertEquals(judged(), {
      because: "before",
      sections: ["volumes"],
      for: ["ops", ""],
    });
    await kept.judgeBy("containers", A, "");
    assertEquals(judged(), { because: "before", sections: ["volumes"] });
    await kept.judgeAlsoBy("containers", A, "ops");
    assertEquals(judged()?.for, ["", "ops"]);
    await kept.judgeBy("services", "s", "ops");
    await kept.judgeBy("services", "s", "");
    assertEquals(Kept.open(directory).services.size, 0);
  });
});

Deno.test("kept: a file of an earlier version is understood", async () => {
  await inDirectory(async (directory) => {
    const old = {
      watchedUntil: 1,
      containers: { [A]: { because: "exempt", sections: ["volumes"] } },
      services: {},
      undecided: [],
      stood: [],
      creates: { alice: [1] },
      builds: {},
    };
    await Deno.writeTextFile(`${directory}/kept.json`, JSON.stringify(old));
    const kept = Kept.open(directory);
    assertEquals(kept.problem, undefined);
    assertEquals(kept.containers.get(A), {
      because: "exempt",
      sections: ["volumes"],
    });
    const wrong = { [A]: { because: "exempt", sections: [], for: "ops" } };
    await Deno.writeTextFile(
      `${directory}/kept.json`,
      JSON.stringify({ ...old, containers: wrong }),
    );
    assertMatch(Kept.open(directory).problem ?? "", /another form/);
  });
});
