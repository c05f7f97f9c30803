/* Lets the clock that counts time asleep run ahead, as after a machine was suspended.
 *
 * Loaded into a process (LD_PRELOAD), it adds the seconds in the file ASLEEP_FILE, eight bytes that
 * are mapped, to CLOCK_BOOTTIME. CLOCK_MONOTONIC stands still in a suspended machine, so that one
 * is left alone, and the time of day is libfaketime's.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

typedef int (*gettime)(clockid_t, struct timespec *);

static volatile int64_t *asleep_s;
static gettime following;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("ASLEEP_FILE");
    int file = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);

    following = (gettime)dlsym(RTLD_NEXT, "clock_gettime");
    if (file >= 0) {
        void *mapped = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
        asleep_s = mapped == MAP_FAILED ? NULL : mapped;
        close(file);
    }
}

int clock_gettime(clockid_t which, struct timespec *at)
{
    if (following == NULL)
        following = (gettime)dlsym(RTLD_NEXT, "clock_gettime");
    int status = following(which, at);
    if (status == 0 && which == CLOCK_BOOTTIME && asleep_s != NULL)
        at->tv_sec += (time_t)*asleep_s;
    return status;
}
