/*
 * What busybox can't do, and some escapes need. escape.ts compiles it and puts
 * it into the containers as /bin/host-access.
 *
 *   host-access handle FILE           its handle, as hexadecimal digits
 *   host-access open FILE HANDLE      what HANDLE names on FILE's file system
 *   host-access listen NAME TEXT      answers TEXT on the abstract socket NAME
 *   host-access connect PATH          what a unix socket answers to GET /_ping
 *   host-access abstract NAME         what the abstract socket NAME answers
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int fail(const char *what) {
  perror(what);
  return 1;
}

static int copy(int fd) {
  char buffer[4096];
  ssize_t count;
  while ((count = read(fd, buffer, sizeof buffer)) > 0)
    if (write(1, buffer, count) != count) return 1;
  return count < 0 ? fail("read") : 0;
}

static int print_handle(const char *path) {
  struct file_handle *handle = malloc(sizeof *handle + MAX_HANDLE_SZ);
  int mount;
  handle->handle_bytes = MAX_HANDLE_SZ;
  if (name_to_handle_at(AT_FDCWD, path, handle, &mount, 0))
    return fail("name_to_handle_at");
  printf("%08x", (unsigned)handle->handle_type);
  for (unsigned i = 0; i < handle->handle_bytes; i++)
    printf("%02x", handle->f_handle[i]);
  puts("");
  return 0;
}

static int open_handle(const char *path, const char *digits) {
  struct file_handle *handle = calloc(1, sizeof *handle + MAX_HANDLE_SZ);
  unsigned value;
  sscanf(digits, "%8x", &value);
  handle->handle_type = (int)value;
  for (digits += 8; sscanf(digits, "%2x", &value) == 1; digits += 2)
    handle->f_handle[handle->handle_bytes++] = (unsigned char)value;
  int mount = open(path, O_RDONLY);
  if (mount < 0) return fail(path);
  int fd = open_by_handle_at(mount, handle, O_RDONLY);
  return fd < 0 ? fail("open_by_handle_at") : copy(fd);
}

static socklen_t address(struct sockaddr_un *to, const char *name, int abstract) {
  memset(to, 0, sizeof *to);
  to->sun_family = AF_UNIX;
  strncpy(to->sun_path + abstract, name, sizeof to->sun_path - 2);
  return offsetof(struct sockaddr_un, sun_path) + abstract + strlen(name);
}

static int answer(const char *name, const char *text) {
  struct sockaddr_un to;
  socklen_t length = address(&to, name, 1);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (bind(fd, (struct sockaddr *)&to, length) || listen(fd, 5))
    return fail("listen");
  for (;;) {
    int each = accept(fd, 0, 0);
    if (each < 0) return fail("accept");
    dprintf(each, "%s\n", text);
    close(each);
  }
}

static int ask(const char *name, int abstract, const char *text) {
  struct sockaddr_un to;
  socklen_t length = address(&to, name, abstract);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (connect(fd, (struct sockaddr *)&to, length)) return fail("connect");
  dprintf(fd, "%s", text);
  return copy(fd);
}

int main(int argc, char **argv) {
  const char *verb = argc > 2 ? argv[1] : "";
  if (!strcmp(verb, "handle")) return print_handle(argv[2]);
  if (!strcmp(verb, "open") && argc > 3) return open_handle(argv[2], argv[3]);
  if (!strcmp(verb, "listen") && argc > 3) return answer(argv[2], argv[3]);
  if (!strcmp(verb, "abstract")) return ask(argv[2], 1, "");
  if (!strcmp(verb, "connect"))
    return ask(argv[2], 0, "GET /_ping HTTP/1.0\r\n\r\n");
  fputs("host-access handle|open|listen|abstract|connect …\n", stderr);
  return 2;
}
