/** `bare_server.ts SOCKET`: an authorization plugin that allows everything. */
Deno.serve({ path: Deno.args[0], onListen() {} }, async (request) => {
  await request.arrayBuffer();
  return Response.json(
    request.url.endsWith("/Plugin.Activate")
      ? { Implements: ["authz"] }
      : { Allow: true },
  );
});
