/**
 * Reads JSON, and keeps the places.
 *
 * @module
 */
import {
  type Node,
  type ObjectNode,
  parse,
  type ValueNode,
} from "@humanwhocodes/momoa";
import { shown } from "../text.ts";
import {
  ConfigError,
  type Document,
  type Entry,
  type Place,
  type Problem,
  type Table,
  type Value,
} from "./document.ts";

/**
 * Reads the text of a JSON file.
 *
 * @param file Its name, for messages.
 * @param text Its text.
 * @param nameOf Gives the name that a key as written stands for.
 * @returns What it says. Names that are there twice are among its problems.
 * @throws {ConfigError} If the text is no JSON object.
 */
export function parseJson(
  file: string,
  text: string,
  nameOf: (key: string) => string,
): Document {
  const body = parseNodes(file, text);
  if (body.type !== "Object") {
    const place = placeOf(body);
    throw new ConfigError([{ file, place, message: "expected an object" }]);
  }
  const problems: Problem[] = [];
  const report = (place: Place, message: string) =>
    problems.push({ file, place, message });
  return { file, table: readObject(body, nameOf, report), problems };
}

function parseNodes(file: string, text: string): ValueNode {
  try {
    const { body } = parse(text);
    JSON.parse(text); // Stricter about control characters.
    return body;
  } catch (error) {
    const { message, line, column } = error as Error & Partial<Place>;
    throw new ConfigError([{
      file,
      place: line && column ? { line, column } : undefined,
      message: `not JSON: ${message.replace(/ \(\d+:\d+\)$/, "")}`,
    }]);
  }
}

function readObject(
  { members }: ObjectNode,
  nameOf: (key: string) => string,
  report: (place: Place, message: string) => void,
): Table {
  const table = new Map<string, Entry>();
  for (const { name: key, value } of members) {
    const written = key.type === "String" ? key.value : key.name;
    const name = nameOf(written);
    const place = placeOf(key);
    if (table.has(name)) {
      report(place, `${shown(written)} is there twice: keep one of them`);
    }
    table.set(name, { place, value: readValue(value) });
  }
  return table;

  function readValue(node: ValueNode): Value {
    const place = placeOf(node);
    switch (node.type) {
      case "Object":
        return { place, content: readObject(node, nameOf, report) };
      case "Array":
        return {
          place,
          content: node.elements.map(({ value }) => readValue(value)),
        };
      case "String":
      case "Number":
      case "Boolean":
        return { place, content: node.value };
      default:
        return { place, content: null };
    }
  }
}

function placeOf({ loc: { start: { line, column } } }: Node): Place {
  return { line, column };
}
