/* A library for LD_PRELOAD that makes an allocation or a system call of a program fail, to see what the program does.
 *
 *   COULIS_FAULT=KIND:N:WHAT     the N-th call of KIND (1 is the first) fails; with "N+" every later one, too
 *   COULIS_FAULT=KIND:N@SITE:WHAT   from the N-th call on, the first that is made at SITE
 *   COULIS_FAULT_COUNT=FILE      writes how many calls of each kind there were, one "KIND COUNT" per line
 *   COULIS_FAULT_SITES=FILE      writes where they were made (call_sites.h), one "KIND SITE FIRST CALLS" per line
 *   COULIS_FAULT_FRAMES=N        how many calls of a stack are a site (64)
 *   COULIS_FAULT_BELOW=TEXT      of the calls that name a path, only those whose path has TEXT in it count
 *
 * KIND is "memory" (malloc, calloc, realloc, aligned_alloc, posix_memalign, memalign, mmap without a file), "thread"
 * (pthread_create), or the name of a system call in the table below. WHAT is a number of errno, or "short": half of a
 * read or write. Counted is what main() does, not what libraries do as they are loaded and unloaded.
 *
 * System calls are caught by the kernel (seccomp, SECCOMP_RET_TRAP), so that those inside libc are among them: fopen,
 * fread, opendir. The handler makes the call itself; the filter lets it pass by where in memory it is made. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "call_sites.h"

/* Every system call that can fail for want of something, and which of its arguments is a path (-1: none). */
static const struct {
    const char *name;
    long number;
    int path;
} calls[] = {
#ifdef SYS_open
    {"open", SYS_open, 0},
    {"mkdir", SYS_mkdir, 0},
    {"rename", SYS_rename, 0},
    {"link", SYS_link, 0},
    {"unlink", SYS_unlink, 0},
    {"rmdir", SYS_rmdir, 0},
    {"stat", SYS_stat, 0},
    {"access", SYS_access, 0},
#endif
    {"openat", SYS_openat, 1},
    {"read", SYS_read, -1},
    {"pread", SYS_pread64, -1},
    {"write", SYS_write, -1},
    {"fsync", SYS_fsync, -1},
    {"close", SYS_close, -1},
    {"fstat", SYS_fstat, -1},
    {"newfstatat", SYS_newfstatat, 1},
    {"lseek", SYS_lseek, -1},
    {"getdents", SYS_getdents64, -1},
    {"flock", SYS_flock, -1},
    {"mkdirat", SYS_mkdirat, 1},
    {"renameat", SYS_renameat2, 1},
    {"unlinkat", SYS_unlinkat, 1},
    {"faccessat", SYS_faccessat, 1},
    {"fcntl", SYS_fcntl, -1},
    {"ftruncate", SYS_ftruncate, -1},
};
enum { CALLS = sizeof calls / sizeof *calls, MEMORY = CALLS, THREAD, KINDS };

static _Atomic long counts[KINDS];
static atomic_bool counting, has_failed;
static int wanted_kind = -1, wanted_error, wanted_short, every_later, noting;
static long wanted_number;
static uint32_t wanted_site;
static const char *below;

static const char *name_of(int kind) {
    return kind == MEMORY ? "memory" : kind == THREAD ? "thread" : calls[kind].name;
}

static int kind_of(const char *name, size_t length) {
    for (int kind = 0; kind < KINDS; kind++)
        if (strlen(name_of(kind)) == length && strncmp(name_of(kind), name, length) == 0) return kind;
    return -1;
}

/* Counts a call and says whether it is to fail. */
static int must_fail(int kind) {
    if (!atomic_load_explicit(&counting, memory_order_relaxed)) return 0;
    long number = atomic_fetch_add(&counts[kind], 1) + 1;
    if (noting) call_site_note(kind, call_site(), number);
    if (kind != wanted_kind || number < wanted_number) return 0;
    if (!wanted_site) return number == wanted_number || every_later;
    if (atomic_load(&has_failed)) return every_later;
    return call_site() == wanted_site && (!atomic_exchange(&has_failed, 1) || every_later);
}

#pragma GCC visibility push(default)

/* ---- memory: the allocator of libc under another name ---- */

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static void *refuse(void) {
    errno = ENOMEM;
    return NULL;
}

void *malloc(size_t size) { return must_fail(MEMORY) ? refuse() : __libc_malloc(size); }
void *calloc(size_t count, size_t size) { return must_fail(MEMORY) ? refuse() : __libc_calloc(count, size); }
void *realloc(void *old, size_t size) { return must_fail(MEMORY) ? refuse() : __libc_realloc(old, size); }
void *memalign(size_t alignment, size_t size) {
    return must_fail(MEMORY) ? refuse() : __libc_memalign(alignment, size);
}
void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }
int posix_memalign(void **memory, size_t alignment, size_t size) {
    if (must_fail(MEMORY)) return ENOMEM;
    *memory = __libc_memalign(alignment, size);
    return *memory ? 0 : ENOMEM;
}

/* __libc_memalign and __libc_malloc ask the kernel by calls inside libc, which do not come here. */
void *mmap(void *where, size_t size, int protection, int flags, int file, off_t offset) {
    if ((flags & MAP_ANONYMOUS) && must_fail(MEMORY)) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return (void *)syscall(SYS_mmap, where, size, protection, flags, file, offset);
}

/* ---- threads ---- */

int pthread_create(pthread_t *id, const pthread_attr_t *attributes, void *(*work)(void *), void *argument) {
    static int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    if (!real)
        real = (int (*)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *))dlsym(RTLD_NEXT,
                                                                                              "pthread_create");
    return must_fail(THREAD) ? EAGAIN : real(id, attributes, work, argument);
}

/* A blocked SIGSYS would end the program. */
int pthread_sigmask(int how, const sigset_t *set, sigset_t *old) {
    static int (*real)(int, const sigset_t *, sigset_t *);
    if (!real) real = (int (*)(int, const sigset_t *, sigset_t *))dlsym(RTLD_NEXT, "pthread_sigmask");
    sigset_t without;
    if (set && how != SIG_UNBLOCK) {
        without = *set;
        sigdelset(&without, SIGSYS);
        set = &without;
    }
    return real(how, set, old);
}

#pragma GCC visibility pop

/* ---- system calls ---- */

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#define REGISTER(context, n)                                                                                           \
    ((context)->uc_mcontext.gregs[(n) == 0   ? REG_RDI                                                                 \
                                  : (n) == 1 ? REG_RSI                                                                 \
                                  : (n) == 2 ? REG_RDX                                                                 \
                                  : (n) == 3 ? REG_R10                                                                 \
                                  : (n) == 4 ? REG_R8                                                                  \
                                             : REG_R9])
#define RESULT(context) ((context)->uc_mcontext.gregs[REG_RAX])

/* The one place from which the filter lets system calls pass; it sees them at the label behind the instruction. */
long cl_fault_call(long number, long a, long b, long c, long d, long e, long f);
extern const char cl_fault_after[];
__asm__(".text\n.globl cl_fault_call\n.hidden cl_fault_call\n.globl cl_fault_after\n.hidden cl_fault_after\n"
        "cl_fault_call:\n"
        "mov %rdi, %rax\nmov %rsi, %rdi\nmov %rdx, %rsi\nmov %rcx, %rdx\nmov %r8, %r10\nmov %r9, %r8\n"
        "mov 8(%rsp), %r9\nsyscall\ncl_fault_after:\nret\n");
#endif

#ifdef ARCH
static void on_call(int signal_number, siginfo_t *info, void *raw) {
    (void)signal_number;
    ucontext_t *context = raw;
    int saved = errno;
    long a[6];
    int kind = -1;
    for (int n = 0; n < 6; n++) a[n] = (long)REGISTER(context, n);
    for (int i = 0; i < CALLS; i++)
        if (calls[i].number == info->si_syscall) kind = i;
    int counted = kind >= 0;
    if (counted && below && calls[kind].path >= 0) {
        const char *path = (const char *)a[calls[kind].path];
        counted = path && strstr(path, below) != NULL;
    }
    int failing = counted && must_fail(kind);
    if (failing && wanted_short) {
        if (a[2] > 1) a[2] = 1 + (a[2] - 1) / 2;
        failing = 0;
    }
    /* Linux frees the descriptor even where close says that it failed. */
    long result = failing && info->si_syscall != SYS_close
                      ? -wanted_error
                      : cl_fault_call(info->si_syscall, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (failing && info->si_syscall == SYS_close) result = -wanted_error;
    RESULT(context) = result;
    errno = saved;
}

static int install_filter(void) {
    uint32_t low = (uint32_t)(uintptr_t)cl_fault_after, high = (uint32_t)((uintptr_t)cl_fault_after >> 32);
    struct sock_filter program[8 + CALLS];
    int n = 0;
    program[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                                offsetof(struct seccomp_data, instruction_pointer));
    program[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, low, 0, 3);
    program[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                                offsetof(struct seccomp_data, instruction_pointer) + 4);
    program[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, high, 0, 1);
    program[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    program[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (int i = 0; i < CALLS; i++)
        program[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)calls[i].number,
                                                    (uint8_t)(CALLS - i), 0);
    program[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    program[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP);
    struct sock_fprog filter = {.len = (unsigned short)n, .filter = program};
    struct sigaction action = {.sa_sigaction = on_call, .sa_flags = SA_SIGINFO | SA_NODEFER | SA_RESTART};
    sigemptyset(&action.sa_mask);
    return sigaction(SIGSYS, &action, NULL) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}
#else
static int install_filter(void) { return 0; }
#endif

static void give_up(const char *why) {
    fprintf(stderr, "interpose: %s\n", why);
    _exit(99);
}

static void begin(void) {
    const char *fault = getenv("COULIS_FAULT");
    below = getenv("COULIS_FAULT_BELOW");
    const char *frames = getenv("COULIS_FAULT_FRAMES");
    if (frames) call_site_frames = atoi(frames);
    if (fault) {
        const char *colon = strchr(fault, ':');
        if (!colon || (wanted_kind = kind_of(fault, (size_t)(colon - fault))) < 0) give_up("no such kind of call");
        char *end;
        wanted_number = strtol(colon + 1, &end, 10);
        if (*end == '@') wanted_site = (uint32_t)strtoul(end + 1, &end, 16);
        every_later = *end == '+';
        end += every_later;
        const char *what = *end == ':' ? end + 1 : "12";
        wanted_short = strcmp(what, "short") == 0;
        wanted_error = atoi(what);
    }
    const char *file = getenv("COULIS_FAULT_COUNT");
    noting = getenv("COULIS_FAULT_SITES") != NULL;
    if ((file || noting || (wanted_kind >= 0 && wanted_kind < CALLS)) && !install_filter()) give_up("no seccomp here");
    atomic_store(&counting, 1);
}

static void end(void) {
    atomic_store(&counting, 0);
    const char *name = getenv("COULIS_FAULT_COUNT"), *sites = getenv("COULIS_FAULT_SITES");
    if (sites) call_site_write(sites, name_of);
    FILE *file = name ? fopen(name, "w") : NULL;
    if (!file) return;
    for (int kind = 0; kind < KINDS; kind++) fprintf(file, "%s %ld\n", name_of(kind), atomic_load(&counts[kind]));
    fclose(file);
}

static int (*real_main)(int, char **, char **);

static int main_between(int count, char **arguments, char **environment) {
    begin();
    int code = real_main(count, arguments, environment);
    end();
    return code;
}

typedef int start_function(int (*)(int, char **, char **), int, char **, void (*)(void), void (*)(void), void (*)(void),
                           void *);

#pragma GCC visibility push(default)

/* What calls main(). */
int __libc_start_main(int (*)(int, char **, char **), int, char **, void (*)(void), void (*)(void), void (*)(void),
                      void *);
int __libc_start_main(int (*program)(int, char **, char **), int count, char **arguments, void (*init)(void),
                      void (*fini)(void), void (*unload)(void), void *stack) {
    start_function *real = (start_function *)dlsym(RTLD_NEXT, "__libc_start_main");
    real_main = program;
    return real(main_between, count, arguments, init, fini, unload, stack);
}

#pragma GCC visibility pop
