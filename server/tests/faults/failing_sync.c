// Preloaded into a server: makes fsync and fdatasync of one file fail with EIO, as a dying disk does, while the file that
// FAILING_SYNC names exists. What it holds is the name of the file that can't be synced.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int fails(int fd) {
  const char *control = getenv("FAILING_SYNC");
  char name[64] = "/", link[64], path[4096];
  if (control == NULL) return 0;
  int file = open(control, O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  ssize_t length = read(file, name + 1, sizeof name - 2);
  close(file);
  if (length <= 0) return 0;
  name[1 + length] = 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t end = readlink(link, path, sizeof path - 1);
  if (end < 0) return 0;
  path[end] = 0;
  size_t whole = strlen(path), part = strlen(name);
  return whole >= part && strcmp(path + whole - part, name) == 0;
}

int fsync(int fd) {
  if (fails(fd)) { errno = EIO; return -1; }
  return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd) {
  if (fails(fd)) { errno = EIO; return -1; }
  return (int)syscall(SYS_fdatasync, fd);
}
