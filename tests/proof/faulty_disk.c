/*
 * A disk that fails when it is told to: loaded into PostgreSQL with LD_PRELOAD, it lets the calls
 * that write below one directory fail with a chosen error.
 *
 * The order stands in a file that all processes of the server map: FAULTY_DISK names it. Only what
 * lies below FAULTY_DISK_UNDER is concerned, so that neither sockets nor pipes nor the log are.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

enum { WRITES = 1, SYNCS = 2, GROWS = 4 };

/* The layout that tests/proof/disk_full.py writes: two 64-bit numbers, four of 32 bits, a text. */
struct order {
    int64_t left;     /* so many concerned calls still succeed; 0: the next one fails; < 0: none */
    int64_t failed;   /* how many have failed since the order was given */
    int32_t error;    /* the errno they fail with */
    int32_t kinds;    /* of WRITES, SYNCS, GROWS */
    int32_t sticky;   /* 1: all later ones fail too, until the order is taken back */
    int32_t unused;
    char part[96];    /* what their path must contain; "" is any */
};

static struct order *order;
static const char *under;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void open_order(void)
{
    int (*real_open)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open");
    const char *name = getenv("FAULTY_DISK");
    under = getenv("FAULTY_DISK_UNDER");
    if (name == NULL || under == NULL)
        return;
    int file = real_open(name, O_RDWR | O_CLOEXEC);
    if (file < 0)
        return;
    void *mapped = mmap(NULL, sizeof(struct order), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (mapped != MAP_FAILED)
        order = mapped;
}

/* Return the error that a call on this file is to fail with, or 0. */
static int fault(int file, int kind)
{
    char link[64], path[4096];
    int kept = errno;
    pthread_once(&once, open_order);
    if (order == NULL || __atomic_load_n(&order->left, __ATOMIC_SEQ_CST) < 0 || !(order->kinds & kind))
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    errno = kept;
    if (length <= 0)
        return 0;
    path[length] = '\0';
    if (strncmp(path, under, strlen(under)) != 0 || strstr(path, order->part) == NULL)
        return 0;
    int64_t before = __atomic_load_n(&order->left, __ATOMIC_SEQ_CST);
    while (before > 0)
        if (__atomic_compare_exchange_n(&order->left, &before, before - 1, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
            return 0;
    if (before < 0)
        return 0;
    if (!order->sticky) {
        int64_t none = 0;
        if (!__atomic_compare_exchange_n(&order->left, &none, -1, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
            return 0;
    }
    __atomic_fetch_add(&order->failed, 1, __ATOMIC_SEQ_CST);
    return order->error;
}

#define REAL(type, name, parameters) \
    static type(*real) parameters;   \
    if (real == NULL)                \
    real = (type(*) parameters)dlsym(RTLD_NEXT, name)

#define FAIL(file, kind)                 \
    do {                                 \
        int error = fault((file), kind); \
        if (error) {                     \
            errno = error;               \
            return -1;                   \
        }                                \
    } while (0)

/* These report by their result and leave errno alone. */
#define REFUSE(file, kind)               \
    do {                                 \
        int error = fault((file), kind); \
        if (error)                       \
            return error;                \
    } while (0)

ssize_t write(int file, const void *from, size_t size)
{
    REAL(ssize_t, "write", (int, const void *, size_t));
    FAIL(file, WRITES);
    return real(file, from, size);
}

ssize_t pwrite(int file, const void *from, size_t size, off_t at)
{
    REAL(ssize_t, "pwrite", (int, const void *, size_t, off_t));
    FAIL(file, WRITES);
    return real(file, from, size, at);
}

ssize_t pwrite64(int file, const void *from, size_t size, off64_t at)
{
    REAL(ssize_t, "pwrite64", (int, const void *, size_t, off64_t));
    FAIL(file, WRITES);
    return real(file, from, size, at);
}

ssize_t pwritev(int file, const struct iovec *parts, int count, off_t at)
{
    REAL(ssize_t, "pwritev", (int, const struct iovec *, int, off_t));
    FAIL(file, WRITES);
    return real(file, parts, count, at);
}

ssize_t pwritev64(int file, const struct iovec *parts, int count, off64_t at)
{
    REAL(ssize_t, "pwritev64", (int, const struct iovec *, int, off64_t));
    FAIL(file, WRITES);
    return real(file, parts, count, at);
}

int fsync(int file)
{
    REAL(int, "fsync", (int));
    FAIL(file, SYNCS);
    return real(file);
}

int fdatasync(int file)
{
    REAL(int, "fdatasync", (int));
    FAIL(file, SYNCS);
    return real(file);
}

int ftruncate(int file, off_t size)
{
    REAL(int, "ftruncate", (int, off_t));
    FAIL(file, GROWS);
    return real(file, size);
}

int ftruncate64(int file, off64_t size)
{
    REAL(int, "ftruncate64", (int, off64_t));
    FAIL(file, GROWS);
    return real(file, size);
}

int posix_fallocate(int file, off_t at, off_t size)
{
    REAL(int, "posix_fallocate", (int, off_t, off_t));
    REFUSE(file, GROWS);
    return real(file, at, size);
}

int posix_fallocate64(int file, off64_t at, off64_t size)
{
    REAL(int, "posix_fallocate64", (int, off64_t, off64_t));
    REFUSE(file, GROWS);
    return real(file, at, size);
}

int fallocate(int file, int mode, off_t at, off_t size)
{
    REAL(int, "fallocate", (int, int, off_t, off_t));
    FAIL(file, GROWS);
    return real(file, mode, at, size);
}

int fallocate64(int file, int mode, off64_t at, off64_t size)
{
    REAL(int, "fallocate64", (int, int, off64_t, off64_t));
    FAIL(file, GROWS);
    return real(file, mode, at, size);
}
