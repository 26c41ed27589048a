/* The wall clock, wrong by as many seconds as the file named by CONFORMANCE_CLOCK says at that moment: preloaded into a
 * client (around.py). Clocks that do not jump, and whoever sleeps, are left alone: libfaketime would make clock_nanosleep
 * fail, which no jump does. Exclusions: programs that ask the kernel without the C library do not notice. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static char path[PATH_MAX];

__attribute__((constructor)) static void begin(void) {
    const char *given = getenv("CONFORMANCE_CLOCK");
    snprintf(path, sizeof path, "%s", given ? given : "");
}

static long offset_s(void) {
    char text[32] = "0";
    int before = errno, file = open(path, O_RDONLY | O_CLOEXEC);
    if (file >= 0) {
        ssize_t count = read(file, text, sizeof text - 1);
        text[count > 0 ? count : 0] = 0;
        close(file);
    }
    errno = before;
    return atol(text);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int code = (int)syscall(SYS_clock_gettime, clock, now);
    if (code == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += offset_s();
    return code;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    int code = (int)syscall(SYS_gettimeofday, now, zone);
    if (code == 0 && now) now->tv_sec += offset_s();
    return code;
}

time_t time(time_t *where) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (where) *where = now.tv_sec;
    return now.tv_sec;
}
