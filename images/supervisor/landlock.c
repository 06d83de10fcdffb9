/* Which files the command may change, and how far its signals and abstract sockets reach: Landlock, as far as the
 * kernel has it. docs/security.md says what older kernels leave open. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "supervisor.h"

/* Numbers are those of linux/landlock.h, which the build's headers may be too old to have. */
#define CREATE_RULESET 444
#define ADD_RULE 445
#define RESTRICT_SELF 446
#define WRITE_FILE (UINT64_C(1) << 1)
#define REMOVE_AND_MAKE (UINT64_C(0x1ff) << 4) /* REMOVE_DIR, REMOVE_FILE, MAKE_CHAR … MAKE_SYM */
#define REFER (UINT64_C(1) << 13)              /* since ABI 2; before it, no file could change its folder */
#define TRUNCATE (UINT64_C(1) << 14)           /* since ABI 3 */
#define SCOPED UINT64_C(3)                     /* abstract sockets and signals, since ABI 6 (Linux 6.12) */
#define DEEPEST 3                              /* folders below /dev that hold devices: dri, infiniband, nvidia-caps */

static int allow(int ruleset, int directory, const char *path, uint64_t rights)
{
    struct {
        uint64_t rights;
        int32_t parent;
    } __attribute__((packed)) rule = {.rights = rights};
    long added;

    rule.parent = openat(directory, path, O_PATH | O_CLOEXEC);
    if (rule.parent < 0)
        return -1;
    added = syscall(ADD_RULE, ruleset, 1 /* LANDLOCK_RULE_PATH_BENEATH */, &rule, 0);
    close(rule.parent);
    return added < 0 ? -1 : 0;
}

/* Each device by itself: what else lies in /dev, such as the termination message, is no device. */
static int allow_devices(int ruleset, int parent, const char *path, uint64_t rights, int depth)
{
    int fd = openat(parent, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), failed = 0;
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;
    struct stat status;

    if (!directory) {
        if (fd >= 0)
            close(fd);
        return fd < 0 && depth > 0 ? 0 : -1; /* a folder that only root can read */
    }
    while (!failed && (entry = readdir(directory))) {
        const char *name = entry->d_name;

        if (name[0] == '.' || fstatat(fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        if (S_ISCHR(status.st_mode))
            failed = allow(ruleset, fd, name, rights);
        else if (S_ISDIR(status.st_mode) && depth < DEEPEST && strcmp(name, "shm") && strcmp(name, "mqueue"))
            failed = allow_devices(ruleset, fd, name, rights, depth + 1);
    }
    closedir(directory);
    return failed;
}

static int allow_all(int ruleset, char *const *writable, uint64_t handled)
{
    uint64_t of_a_file = handled & (WRITE_FILE | TRUNCATE);

    for (; *writable; writable++)
        if (allow(ruleset, AT_FDCWD, *writable, handled) < 0)
            return -1;
    /* Nothing there takes room, and threads are named by it. What matters in it is root's, or the process's own. */
    if (allow(ruleset, AT_FDCWD, "/proc", of_a_file) < 0)
        return -1;
    if (allow(ruleset, AT_FDCWD, "/dev/pts", of_a_file) < 0 && errno != ENOENT) /* terminals come and go */
        return -1;
    return allow_devices(ruleset, AT_FDCWD, "/dev", of_a_file, 0);
}

int landlock_confine(char *const *writable)
{
    struct {
        uint64_t files, network, scoped;
    } handled = {0};
    long abi = syscall(CREATE_RULESET, NULL, 0, 1 /* LANDLOCK_CREATE_RULESET_VERSION */), ruleset;
    int failed = 0;

    if (abi >= 2 && *writable)
        handled.files = WRITE_FILE | REMOVE_AND_MAKE | REFER | (abi >= 3 ? TRUNCATE : 0);
    if (abi >= 6)
        handled.scoped = SCOPED;
    if (!handled.files && !handled.scoped)
        return 0;
    ruleset = syscall(CREATE_RULESET, &handled, sizeof handled, 0);
    if (ruleset < 0)
        return -1;
    if (handled.files)
        failed = allow_all((int)ruleset, writable, handled.files);
    if (!failed && syscall(RESTRICT_SELF, ruleset, 0) < 0)
        failed = -1;
    close((int)ruleset);
    return failed;
}
