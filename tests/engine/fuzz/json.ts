/**
 * JSON with its spelling: every object keeps its members as they are written,
 * so that keys can be repeated, folded and escaped, and values can be what no
 * serializer writes.
 */

/** A piece of JSON text. */
export type Node =
  | { kind: "object"; members: Member[] }
  | { kind: "array"; items: Node[] }
  | StringNode
  | { kind: "raw"; text: string };

/** A string, or a key. */
export interface StringNode {
  kind: "string";
  /** What it means. */
  text: string;
  /**
   * Which of its characters are written as an escape: bit n of it is for each
   * character n modulo 16.
   */
  escapes: number;
}

/** One member of an object. */
export interface Member {
  key: StringNode;
  value: Node;
}

/**
 * Brings a value into this form.
 *
 * @param value anything that JSON can say
 * @returns its usual spelling
 */
export function fromValue(value: unknown): Node {
  if (typeof value === "string") return string(value);
  if (Array.isArray(value)) {
    return { kind: "array", items: value.map(fromValue) };
  }
  if (typeof value === "object" && value !== null) {
    return {
      kind: "object",
      members: Object.entries(value).map(([key, each]) => ({
        key: string(key),
        value: fromValue(each),
      })),
    };
  }
  return raw(JSON.stringify(value));
}

/** A string without needless escapes. */
export function string(text: string): StringNode {
  return { kind: "string", text, escapes: 0 };
}

/** Text that is written as it is. */
export function raw(text: string): Node {
  return { kind: "raw", text };
}

/** A copy that shares nothing. */
export function copy<T extends Node>(node: T): T {
  return structuredClone(node);
}

/**
 * All nodes, the outermost first.
 *
 * @param node where to begin
 */
export function nodes(node: Node): Node[] {
  switch (node.kind) {
    case "object":
      return [node, ...node.members.flatMap((each) => nodes(each.value))];
    case "array":
      return [node, ...node.items.flatMap(nodes)];
    default:
      return [node];
  }
}

/**
 * All members of all objects, each with the object that it stands in.
 *
 * @param node where to begin
 */
export function members(node: Node): { of: Member[]; member: Member }[] {
  return nodes(node).flatMap((each) =>
    each.kind === "object"
      ? each.members.map((member) => ({ of: each.members, member }))
      : []
  );
}

const SPACES = ["", " ", "\n", "\t", "\r\n", "  "];

/**
 * Writes JSON text.
 *
 * @param node what to write
 * @param spacing picks the white space between tokens; 0 for none
 * @returns the text
 */
export function write(node: Node, spacing = 0): string {
  let token = spacing;
  const space = () => {
    if (spacing === 0) return "";
    token = (token * 1103515245 + 12345) % 0x7fffffff;
    return SPACES[token % SPACES.length];
  };
  const list = (open: string, parts: string[], close: string) =>
    open + space() + parts.join(space() + "," + space()) + space() + close;
  const text = (each: Node): string => {
    switch (each.kind) {
      case "object":
        return list(
          "{",
          each.members.map(({ key, value }) =>
            writeString(key) + space() + ":" + space() + text(value)
          ),
          "}",
        );
      case "array":
        return list("[", each.items.map(text), "]");
      case "string":
        return writeString(each);
      case "raw":
        return each.text;
    }
  };
  return text(node);
}

function writeString({ text, escapes }: StringNode): string {
  let out = "";
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    // Surrogates go by escapes alone: a lone one can't be written otherwise.
    const must = code < 0x20 || code >= 0xd800 && code <= 0xdfff;
    if (must || escapes >> (i % 16) & 1) {
      const hex = code.toString(16).padStart(4, "0");
      out += "\\u" + (i % 2 ? hex.toUpperCase() : hex);
    } else {out += text[i] === '"' || text[i] === "\\"
        ? "\\" + text[i]
        : text[i];}
  }
  return `"${out}"`;
}
