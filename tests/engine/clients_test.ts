/**
 * The clients that people use do a full normal day through the plugin, with all policies on, and notice nothing.
 */

import {
  day,
  dockerDay,
  dockerodeDay,
  javaDay,
  noDockerode,
  noJava,
  noPython,
  pythonDay,
} from "./clients/days.ts";
import { engineTest } from "./harness.ts";

engineTest("docker-py: a day's work", async (_t, h) => {
  await day(h, (desk) => pythonDay(h.dockerd.socket, desk));
}, { skip: noPython });

engineTest("docker-java before 3.5: a day's work", async (_t, h) => {
  await day(h, (desk) => javaDay(h.dockerd.socket, desk));
}, { skip: noJava });

engineTest("dockerode: a day's work", async (_t, h) => {
  await day(h, (desk) => dockerodeDay(h.dockerd.socket, desk));
}, { skip: noDockerode });

engineTest("docker: a day's work", async (_t, h) => {
  await day(h, (desk) => dockerDay(h, h.dockerd.socket, desk));
});
