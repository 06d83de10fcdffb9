/* Stands for one defence of the supervisor, where a test links it in with --wrap, and does nothing in its place. */
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/types.h>

struct output;

int __real_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d);
bool __real_output_init(struct output *output, size_t limit);

int __wrap_filter_install(bool allow_network, pid_t supervisor)
{
    (void)allow_network;
    (void)supervisor;
    return 0;
}

int __wrap_landlock_confine(char *const *writable)
{
    (void)writable;
    return 0;
}

void __wrap_scope_kill(int scope)
{
    (void)scope;
}

int __wrap_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
    return option == PR_SET_DUMPABLE ? 0 : __real_prctl(option, a, b, c, d);
}

int __wrap_setrlimit(__rlimit_resource_t resource, const struct rlimit *limits)
{
    (void)resource;
    (void)limits;
    return 0;
}

bool __wrap_output_init(struct output *output, size_t limit)
{
    (void)limit;
    return __real_output_init(output, 64 << 20);
}
