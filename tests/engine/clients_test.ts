/**
 * The clients that people use do a full normal day through the plugin, with all policies on, and notice nothing.
 */

import {
  ansibleDay,
  cliPluginsDay,
  day,
  dockerDay,
  dockerodeDay,
  javaDay,
  noAnsible,
  noDockerode,
  noJava,
  noPython,
  noRuby,
  pythonDay,
  rubyDay,
  stackDay,
} from "./clients/days.ts";
import { addCliPlugins, whyNoCliPlugins } from "./front/cli_plugins.ts";
import { engineTest } from "./harness.ts";

engineTest("docker-py: a day's work", async (_t, h) => {
  await day(h, (desk) => pythonDay(h.dockerd.socket, desk));
}, { skip: noPython });

engineTest("docker-java before 3.5: a day's work", async (_t, h) => {
  await day(h, (desk) => javaDay(h.dockerd.socket, desk));
}, { skip: noJava });

engineTest("Ansible: a day's work", async (_t, h) => {
  await day(h, (desk) => ansibleDay(h, h.dockerd.socket, desk));
}, { skip: noAnsible });

engineTest("docker-api for Ruby: a day's work", async (_t, h) => {
  await day(h, (desk) => rubyDay(h.dockerd.socket, desk));
}, { skip: noRuby });

engineTest("dockerode: a day's work", async (_t, h) => {
  await day(h, (desk) => dockerodeDay(h.dockerd.socket, desk));
}, { skip: noDockerode });

engineTest("docker: a day's work", async (_t, h) => {
  await day(h, (desk) => dockerDay(h, h.dockerd.socket, desk));
});

engineTest("docker stack: a day's work", async (_t, h) => {
  await day(h, (desk) => stackDay(h, desk));
});

engineTest("compose and buildx: a day's work", async (_t, h) => {
  await addCliPlugins(`${h.dir}/client`);
  await day(h, (desk) => cliPluginsDay(h, desk));
}, { skip: await whyNoCliPlugins() });
