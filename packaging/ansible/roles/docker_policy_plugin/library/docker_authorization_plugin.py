#!/usr/bin/python
"""Puts a plugin on the engine's list of authorization plugins, or takes it off."""

import json
import os
import re
import tempfile

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: docker_authorization_plugin
short_description: Whether the Docker Engine asks an authorization plugin
description:
  - Puts a name on the list C(authorization-plugins) of the engine's
    C(daemon.json), behind those that are there, or takes it off.
  - All other keys, and their order, stay. A file that needs no change is not
    written.
  - The engine is not told. It takes the list over with C(systemctl reload
    docker).
options:
  name:
    description: The plugin's name.
    type: str
    required: true
  state:
    description: Whether the plugin is on the list.
    type: str
    choices: [present, absent]
    default: present
  path:
    description: The engine's settings.
    type: path
    default: /etc/docker/daemon.json
"""

KEY = "authorization-plugins"


def read(module, path):
    """The file's text and what it says; a file that is not there says nothing."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except FileNotFoundError:
        return "", {}
    try:
        settings = json.loads(text) if text.strip() else {}
    except ValueError as error:
        module.fail_json(msg="%s is no JSON, mend it first: %s" % (path, error))
    if not isinstance(settings, dict):
        module.fail_json(msg="%s is no JSON object, mend it first" % path)
    return text, settings


def change(module, path, settings):
    """Makes the change; says whether there was one to make."""
    name, present = module.params["name"], module.params["state"] == "present"
    plugins = settings.get(KEY)
    if plugins is None:
        plugins = []
    if not isinstance(plugins, list):
        module.fail_json(msg="%s: %s is no list, mend it first" % (path, KEY))
    if (name in plugins) == present:
        return False
    settings[KEY] = [each for each in plugins if each != name] + [name] * present
    if not settings[KEY]:
        del settings[KEY]
    return True


def main():
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"choices": ["present", "absent"], "default": "present"},
            "path": {"type": "path", "default": "/etc/docker/daemon.json"},
        },
        supports_check_mode=True,
    )
    # The file itself, if there is a link to it.
    path = os.path.realpath(module.params["path"])
    before, settings = read(module, path)
    if not change(module, path, settings):
        module.exit_json(changed=False)
    indent = re.search(r"^([ \t]+)\S", before, re.MULTILINE)
    after = json.dumps(
        settings,
        indent=indent.group(1) if indent else "  ",
        ensure_ascii=False,
    ) + "\n"
    if not module.check_mode:
        descriptor, beside = tempfile.mkstemp(dir=module.tmpdir)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(after)
        module.atomic_move(beside, path)
    module.exit_json(
        changed=True,
        diff={"before": before, "after": after, "before_header": path, "after_header": path},
    )


if __name__ == "__main__":
    main()
