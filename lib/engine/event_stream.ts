/** What happened to a container. */
export interface ContainerEvent {
  /** `lost`: something that could not be read. */
  action: "create" | "start" | "destroy" | "lost";
  /** The container's ID; empty if the event was lost. */
  id: string;
}

/** The engine's event stream. */
export interface EventStream {
  events: AsyncIterable<ContainerEvent>;
  /** Closes the connection. */
  close(): void;
}

/** The path of the engine's event stream, less its API version. */
export const EVENTS_PATH = `/events?filters=${
  encodeURIComponent(JSON.stringify({
    type: ["container"],
    event: ["create", "start", "destroy"],
  }))
}`;

/**
 * The longest event that is read, in characters. An event repeats the
 * container's labels, which its maker chooses.
 */
const EVENT_LIMIT = 16 * 1024 * 1024;

const LOST: ContainerEvent = { action: "lost", id: "" };

/**
 * Reads the engine's event stream: one JSON object a line (`getEvents` in
 * moby's daemon/server/router/system/system_routes.go).
 *
 * @param pieces The stream, in pieces of any length.
 * @returns The events. Nothing but the action and the ID is taken from an
 *   event: all else in it is what its maker chose to say. What can't be read,
 *   or is longer than 16 MiB, is a `lost` one: nobody may end the stream by it.
 */
export async function* readEvents(
  pieces: AsyncIterable<string>,
): AsyncGenerator<ContainerEvent> {
  let line: string[] = [];
  let length = 0;
  const add = (piece: string) => {
    length += piece.length;
    if (length <= EVENT_LIMIT) line.push(piece);
    else line = [];
  };
  for await (const piece of pieces) {
    const [end, ...others] = piece.split("\n");
    add(end);
    for (const next of others) {
      if (length > EVENT_LIMIT) yield LOST;
      else if (length > 0) yield readEvent(line.join(""));
      line = [];
      length = 0;
      add(next);
    }
  }
}

function readEvent(line: string): ContainerEvent {
  try {
    const { Action: action, Actor: { ID: id } } = JSON.parse(line);
    const known = action === "create" || action === "start" ||
      action === "destroy";
    return known && /^[0-9a-f]{64}$/.test(id) ? { action, id } : LOST;
  } catch {
    return LOST;
  }
}
