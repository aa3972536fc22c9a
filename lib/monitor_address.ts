/** Where the monitor API is served. */
export interface MonitorAddress {
  /** As it was given. */
  text: string;
  to:
    | { transport: "unix"; path: string }
    | { transport: "tcp"; hostname: string; port: number };
}

/**
 * Reads where the monitor API is served.
 *
 * @param text `unix:/path`, or `HOST:PORT`, the host in brackets if it is IPv6.
 * @returns The address; undefined if it is none.
 */
export function readMonitorAddress(text: string): MonitorAddress | undefined {
  const [, path] = /^unix:(?:\/\/)?(\/.*[^/])$/s.exec(text) ?? [];
  if (path !== undefined) return { text, to: { transport: "unix", path } };
  const [, hostname, port] = /^\[?([^\s[\]/]+?)\]?:(\d{1,5})$/.exec(text) ?? [];
  if (port === undefined || Number(port) > 65535) return undefined;
  return { text, to: { transport: "tcp", hostname, port: Number(port) } };
}
