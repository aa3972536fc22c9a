/**
 * Where ways out of a container are described.
 *
 * @module
 */
const HACKTRICKS =
  "https://github.com/HackTricks-wiki/hacktricks/blob/master/" +
  "src/linux-hardening/privilege-escalation";
const DOCKER_SECURITY = `${HACKTRICKS}/docker-security`;
const BREAKOUT = `${DOCKER_SECURITY}/docker-breakout-privilege-escalation`;

/** Each by a short name. */
export const SOURCES = {
  gtfobins: "https://gtfobins.github.io/gtfobins/docker/",
  authz:
    `${DOCKER_SECURITY}/authz-and-authn-docker-access-authorization-plugin.md`,
  socket:
    `${DOCKER_SECURITY}/abusing-docker-socket-for-privilege-escalation.md`,
  breakout: `${BREAKOUT}/README.md`,
  releaseAgent: `${BREAKOUT}/docker-release_agent-cgroups-escape.md`,
  sensitiveMounts: `${BREAKOUT}/sensitive-mounts.md`,
  privileged: `${DOCKER_SECURITY}/docker-privileged.md`,
  capabilities: `${HACKTRICKS}/linux-capabilities.md`,
  pid: `${DOCKER_SECURITY}/namespaces/pid-namespace.md`,
  ipc: `${DOCKER_SECURITY}/namespaces/ipc-namespace.md`,
  network: `${DOCKER_SECURITY}/namespaces/network-namespace.md`,
  uts: `${DOCKER_SECURITY}/namespaces/uts-namespace.md`,
  user: `${DOCKER_SECURITY}/namespaces/user-namespace.md`,
  cgroup: `${DOCKER_SECURITY}/namespaces/cgroup-namespace.md`,
  seccomp: `${DOCKER_SECURITY}/seccomp.md`,
  apparmor: `${DOCKER_SECURITY}/apparmor.md`,
  procRoot: "https://labs.withsecure.com/publications/" +
    "abusing-the-access-to-mount-namespaces-through-procpidroot",
  shocker: "https://github.com/gabrtv/shocker",
  attackSurface:
    "https://docs.docker.com/engine/security/#docker-daemon-attack-surface",
  dockerCp: "https://docs.docker.com/reference/cli/docker/container/cp/",
} as const;
