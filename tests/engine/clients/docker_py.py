"""A day's work with docker-py, for clients_test.ts: docker_py.py SOCKET ROOT_TAR BIND_DIR

Prints a line for each thing done; whatever goes wrong is an exception.
"""

import io
import sys
import tarfile

import docker

socket, root_tar, bind = sys.argv[1:4]
client = docker.DockerClient(base_url="unix://" + socket, timeout=60)


def done(what):
    print(what, flush=True)


def check(got, wanted):
    if got != wanted:
        raise SystemExit(f"got {got!r}, wanted {wanted!r}")


def tar_of(name, content):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


done("version " + client.version()["Version"])
client.api.import_image_from_file(root_tar, repository="py", tag="1")
done("import")
check(["py:1"], client.images.get("py:1").tags)
done("image list " + str(len(client.images.list())))

network = client.networks.create("py-net", driver="bridge", internal=True)
done("network create")

# docker-py sends `volumes` in two places: this is a bind mount all the same.
text = client.containers.run("py:1", ["cat", "/b/note"], volumes={bind: {"bind": "/b", "mode": "ro"}}, remove=True)
check(text, b"from the host\n")
done("run with a bind mount")
low_level = client.api.create_container(
    "py:1", ["true"], volumes=["/b"], host_config=client.api.create_host_config(binds=[bind + ":/b"])
)
client.api.start(low_level["Id"])
check(client.api.wait(low_level["Id"])["StatusCode"], 0)
client.api.remove_container(low_level["Id"])
done("create, start, wait, rm by the low-level API")

web = client.containers.run(
    "py:1",
    ["sh", "-c", "echo hello; sleep 600"],
    name="py-web",
    detach=True,
    labels={"a": "1", "A": "2"},
    network="py-net",
    tmpfs={"/scratch": "size=1m"},
    mounts=[docker.types.Mount("/m", bind, type="bind")],
    environment=["X=1"],
)
done("run -d")
for line in web.logs(stream=True, follow=True):
    check(line, b"hello\n")
    break
done("logs -f")
check(web.exec_run(["cat", "/m/note"]).output, b"from the host\n")
done("exec")
channel = web.exec_run(["cat"], stdin=True, socket=True).output
channel._sock.sendall(b"echo\n")
check(channel._sock.recv(8 + 5)[8:], b"echo\n")
channel.close()
done("exec -i")
check(web.put_archive("/tmp", tar_of("up", b"up\n")), True)
stream, stat = web.get_archive("/tmp/up")
check(stat["size"], 3)
check(len(b"".join(stream)) > 0, True)
done("cp both ways")
web.pause()
web.unpause()
web.rename("py-renamed")
web.reload()
check(web.name, "py-renamed")
web.stats(stream=False)
check(any(each["Path"] == "/tmp/up" for each in web.diff()), True)
done("pause, unpause, rename, stats, diff")
web.update(restart_policy={"Name": "unless-stopped"})
web.restart(timeout=0)
done("update, restart")
image = web.commit(repository="py", tag="2")
check(client.containers.run("py:2", ["cat", "/tmp/up"], remove=True), b"up\n")
done("commit and run it")
check(len(b"".join(web.export())) > 1000, True)
network.disconnect(web)
network.connect(web)
done("export, network disconnect and connect")
web.stop(timeout=0)
web.start()
web.kill()
web.remove(force=True)
done("stop, start, kill, rm")
network.remove()
done("network rm")

built, _ = client.images.build(
    fileobj=io.BytesIO(b"FROM py:1\nRUN echo built >/made\nCMD [\"cat\", \"/made\"]\n"), tag="py:3", rm=True
)
check(client.containers.run("py:3", remove=True), b"built\n")
done("build")
saved = b"".join(built.save())
client.images.remove("py:3", force=True)
loaded = client.images.load(saved)
check(loaded[0].id, built.id)
done("save, rmi, load")
client.volumes.create("py-volume").remove()
done("volume create and rm")
client.images.remove(image.id, force=True)
client.df()
check(len(client.containers.list(all=True)), 0)
client.containers.prune()
done("rmi, system df, prune")
