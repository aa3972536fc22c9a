/**
 * Reads the ID in the engine's answer to a create (`ContainerCreateResponse`
 * and `ServiceCreateResponse` in moby's api/types).
 *
 * @param body The answer's body in base64.
 * @param field The field that holds the ID.
 * @returns The ID.
 * @throws {Error} If there is none.
 */
export function idIn(body = "", field: "Id" | "ID"): string {
  const { [field]: id } = JSON.parse(
    new TextDecoder().decode(Uint8Array.fromBase64(body)),
  );
  if (typeof id === "string" && id !== "") return id;
  throw new Error("the engine's answer names nothing");
}
