/* odd ROWS COLUMNS: reports what came of the image's settings, saves a prediction, and goes on to its budget. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int has_trace(int pid)
{
    char path[64];
    snprintf(path, sizeof path, "/tmp/preloaded-%d", pid);
    return access(path, F_OK) == 0;
}

static const char *preloaded(void)
{
    if (!has_trace((int)getpid()))
        return "not even in its own";
    return has_trace(1) ? "in the supervisor too" : "in its own alone";
}

static const char *write_to_volume(void)
{
    int file = open("/vol/file", O_CREAT | O_WRONLY, 0600);
    if (file >= 0)
        return "done";
    return errno == EACCES ? "EACCES" : errno == EROFS ? "EROFS" : strerror(errno);
}

static int save_prediction(long rows, long columns)
{
    const char *out = getenv("ALCOVE_OUT");
    if (out == NULL || chdir(out) < 0)
        return -1;
    FILE *file = fopen(".one", "w");
    if (file == NULL)
        return -1;
    for (long row = 0; row < rows; row++)
        for (long column = 0; column < columns; column++)
            fprintf(file, "0.5%c", column + 1 < columns ? ' ' : '\n');
    return fclose(file) == 0 ? rename(".one", "one.predict") : -1;
}

int main(int count, char **words)
{
    char folder[256];
    const char *gpus = getenv("NVIDIA_VISIBLE_DEVICES");
    if (count != 3)
        return 2;
    printf("ATTACK rights/image-preload %s\n", preloaded());
    printf("ATTACK rights/image-volume %s\n", write_to_volume());
    printf("ATTACK rights/image-gpus %s\n", gpus == NULL ? "unset" : gpus);
    printf("ATTACK rights/image-folder %s\n", getcwd(folder, sizeof folder));
    fflush(stdout);
    if (save_prediction(atol(words[1]), atol(words[2])) < 0)
        return 1;
    for (;;)
        pause();
}
