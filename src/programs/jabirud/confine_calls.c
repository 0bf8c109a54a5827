/* SPDX-License-Identifier: MIT */
/* Which system calls there are for the process (seccomp(2), by libseccomp). Three kinds: those of a server
 * work; those that nobody calls who means well (other programs, other processes, mounts, modules) end the
 * process with a line in the log; all others are answered as if the kernel did not know them, which the
 * libraries are made for: they take the older way. */
#include "base/log.h"
#include "base/mem.h"
#include "confine.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/sockios.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

static const int usual[] = {
    /* files */
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(readv),
    SCMP_SYS(writev),
    SCMP_SYS(pread64),
    SCMP_SYS(pwrite64),
    SCMP_SYS(preadv),
    SCMP_SYS(pwritev),
    SCMP_SYS(open),
    SCMP_SYS(openat),
    SCMP_SYS(close),
    SCMP_SYS(close_range),
    SCMP_SYS(dup),
    SCMP_SYS(dup2),
    SCMP_SYS(dup3),
    SCMP_SYS(fcntl),
    SCMP_SYS(flock),
    SCMP_SYS(lseek),
    SCMP_SYS(stat),
    SCMP_SYS(fstat),
    SCMP_SYS(lstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(statx),
    SCMP_SYS(statfs),
    SCMP_SYS(fstatfs),
    SCMP_SYS(access),
    SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2),
    SCMP_SYS(readlink),
    SCMP_SYS(readlinkat),
    SCMP_SYS(getcwd),
    SCMP_SYS(mkdir),
    SCMP_SYS(mkdirat),
    SCMP_SYS(unlink),
    SCMP_SYS(unlinkat),
    SCMP_SYS(rename),
    SCMP_SYS(renameat),
    SCMP_SYS(renameat2),
    SCMP_SYS(ftruncate),
    SCMP_SYS(fallocate),
    SCMP_SYS(fsync),
    SCMP_SYS(fdatasync),
    SCMP_SYS(fadvise64),
    SCMP_SYS(chmod),
    SCMP_SYS(fchmod),
    SCMP_SYS(fchmodat),
    SCMP_SYS(fchown),
    SCMP_SYS(umask),
    SCMP_SYS(getdents64),
    /* waiting */
    SCMP_SYS(pipe),
    SCMP_SYS(pipe2),
    SCMP_SYS(eventfd2),
    SCMP_SYS(epoll_create1),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_pwait2),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(select),
    SCMP_SYS(pselect6),
    SCMP_SYS(nanosleep),
    SCMP_SYS(clock_nanosleep),
    /* memory */
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(brk),
    SCMP_SYS(mincore),
    SCMP_SYS(mlock),
    SCMP_SYS(munlock),
    SCMP_SYS(msync),
    SCMP_SYS(membarrier),
    /* sockets; socket() itself is below */
    SCMP_SYS(bind),
    SCMP_SYS(listen),
    SCMP_SYS(accept),
    SCMP_SYS(accept4),
    SCMP_SYS(connect),
    SCMP_SYS(getsockname),
    SCMP_SYS(getpeername),
    SCMP_SYS(getsockopt),
    SCMP_SYS(setsockopt),
    SCMP_SYS(sendto),
    SCMP_SYS(recvfrom),
    SCMP_SYS(sendmsg),
    SCMP_SYS(recvmsg),
    SCMP_SYS(sendmmsg),
    SCMP_SYS(recvmmsg),
    SCMP_SYS(shutdown),
    SCMP_SYS(socketpair),
    /* threads and signals */
    SCMP_SYS(futex),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(rseq),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(sched_setaffinity),
    SCMP_SYS(sched_getparam),
    SCMP_SYS(sched_getscheduler),
    SCMP_SYS(gettid),
    SCMP_SYS(getpid),
    SCMP_SYS(getppid),
    SCMP_SYS(getuid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getgid),
    SCMP_SYS(getegid),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigtimedwait),
    SCMP_SYS(rt_sigpending),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(restart_syscall),
    /* facts */
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_getres),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    SCMP_SYS(times),
    SCMP_SYS(getrandom),
    SCMP_SYS(prlimit64),
    SCMP_SYS(getrlimit),
    SCMP_SYS(getrusage),
    SCMP_SYS(sysinfo),
    SCMP_SYS(uname),
    SCMP_SYS(getcpu),
};

static const int deadly[] = {
    SCMP_SYS(execve),
    SCMP_SYS(execveat),
    SCMP_SYS(fork),
    SCMP_SYS(vfork),
    SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(pidfd_getfd),
    SCMP_SYS(mount),
    SCMP_SYS(umount2),
    SCMP_SYS(pivot_root),
    SCMP_SYS(chroot),
    SCMP_SYS(init_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(delete_module),
    SCMP_SYS(kexec_load),
    SCMP_SYS(kexec_file_load),
    SCMP_SYS(bpf),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(userfaultfd),
    SCMP_SYS(add_key),
    SCMP_SYS(keyctl),
    SCMP_SYS(request_key),
    SCMP_SYS(reboot),
    SCMP_SYS(swapon),
    SCMP_SYS(swapoff),
    SCMP_SYS(unshare),
    SCMP_SYS(setns),
    SCMP_SYS(personality),
    SCMP_SYS(open_by_handle_at),
    SCMP_SYS(clock_settime),
    SCMP_SYS(settimeofday),
    SCMP_SYS(setuid),
    SCMP_SYS(setresuid),
    SCMP_SYS(capset),
};

/* What AddressSanitizer's search for leaks, and its reports, do besides. */
static const int of_tools[] = {
    SCMP_SYS(ptrace),      SCMP_SYS(wait4),     SCMP_SYS(clone), SCMP_SYS(clone3), SCMP_SYS(fork),
    SCMP_SYS(vfork),       SCMP_SYS(execve),    SCMP_SYS(prctl), SCMP_SYS(mmap),   SCMP_SYS(mprotect),
    SCMP_SYS(personality), SCMP_SYS(setrlimit), SCMP_SYS(kill),  SCMP_SYS(tgkill), SCMP_SYS(tkill),
    SCMP_SYS(ioctl),       SCMP_SYS(getdents),
};

bool confine_has_tools(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return true;
#else
    return false;
#endif
}

static bool is_of_tools(int call)
{
    for (size_t i = 0; i < COUNT_OF(of_tools); i++)
        if (of_tools[i] == call)
            return true;
    return false;
}

static int add_lists(scmp_filter_ctx filter, bool tools)
{
    int failed = 0;
    for (size_t i = 0; i < COUNT_OF(usual); i++)
        failed |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, usual[i], 0);
    for (size_t i = 0; tools && i < COUNT_OF(of_tools); i++)
        failed |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, of_tools[i], 0);
    for (size_t i = 0; i < COUNT_OF(deadly); i++)
        if (!tools || !is_of_tools(deadly[i]))
            failed |= seccomp_rule_add(filter, SCMP_ACT_TRAP, deadly[i], 0);
    return failed;
}

static int add_sockets(scmp_filter_ctx filter)
{
    static const int families[] = { AF_INET, AF_INET6, AF_UNIX };
    static const int kinds[] = { SOCK_STREAM, SOCK_DGRAM };
    const unsigned flags = SOCK_NONBLOCK | SOCK_CLOEXEC;
    int failed = 0;
    for (size_t f = 0; f < COUNT_OF(families); f++)
        for (size_t k = 0; k < COUNT_OF(kinds); k++)
            failed |= seccomp_rule_add(
                filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2, SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)families[f]),
                SCMP_A1(SCMP_CMP_MASKED_EQ, ~(scmp_datum_t)flags, (scmp_datum_t)kinds[k]));
    /* the C library asks it for our own addresses when it sorts those of others */
    return failed | seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2,
                                     SCMP_A0(SCMP_CMP_EQ, AF_NETLINK), SCMP_A2(SCMP_CMP_EQ, 0));
}

/* Memory that can't be executed, threads, signals to ourselves. */
static int add_narrow(scmp_filter_ctx filter)
{
    static const unsigned long requests[] = { FIONBIO, FIONREAD, SIOCOUTQ, TCGETS, FIOCLEX, FIONCLEX };
    const scmp_datum_t self = (scmp_datum_t)getpid();
    int failed = 0;
    failed |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
                               SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    failed |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
                               SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    failed |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                               SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
    failed |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(kill), 1, SCMP_A0(SCMP_CMP_EQ, self));
    failed |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, SCMP_A0(SCMP_CMP_EQ, self));
    failed |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1, SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME));
    failed |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1, SCMP_A0(SCMP_CMP_EQ, PR_SET_VMA));
    for (size_t i = 0; i < COUNT_OF(requests); i++)
        failed |=
            seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_EQ, requests[i]));
    return failed;
}

/* A handler: only what is safe in one. The call was not made. */
static void forbidden(int number, siginfo_t *info, void *context)
{
    char line[] = "jabirud: system call 000 is forbidden (seccomp); ending\n";
    char *digit = strchr(line, '0') + 2;
    (void)context;
    for (int rest = info->si_syscall; rest > 0 && *digit == '0'; rest /= 10)
        *digit-- = (char)('0' + rest % 10);
    if (write(STDERR_FILENO, line, sizeof line - 1) < 0)
        _exit(1);
    signal(number, SIG_DFL);
    raise(number);
}

static void catch_forbidden(void)
{
    struct sigaction action = { .sa_sigaction = forbidden, .sa_flags = SA_SIGINFO | SA_NODEFER };
    sigemptyset(&action.sa_mask);
    sigaction(SIGSYS, &action, NULL);
}

bool confine_calls(bool tools)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
    if (!filter)
        return false;
    int failed = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    failed |= add_lists(filter, tools);
    failed |= add_sockets(filter);
    if (!tools)
        failed |= add_narrow(filter);
    catch_forbidden();
    bool loaded = !failed && seccomp_load(filter) == 0;
    seccomp_release(filter);
    if (loaded)
        log_info(main, "system calls are confined (seccomp)");
    else
        log_warn(main, "system calls can't be confined (seccomp)");
    return loaded;
}
