/* guess ROWS COLUMNS: writes three predictions into $ALCOVE_OUT, one a second, then ends. Row r votes for column r % COLUMNS. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int write_predictions(const char *folder, int number, int rows, int columns)
{
    char unfinished[256], finished[256];
    snprintf(unfinished, sizeof unfinished, "%s/.unfinished", folder);
    snprintf(finished, sizeof finished, "%s/guess_%d.predict", folder, number);
    FILE *file = fopen(unfinished, "w");
    if (!file)
        return 1;
    for (int row = 0; row < rows; row++)
        for (int column = 0; column < columns; column++)
            fprintf(file, "%d%c", row % columns == column, column + 1 < columns ? ' ' : '\n');
    return fclose(file) || rename(unfinished, finished);
}

int main(int argc, char **argv)
{
    const char *folder = getenv("ALCOVE_OUT");
    if (argc != 3 || !folder)
        return 2;
    for (int number = 1; number <= 3; number++) {
        sleep(1);
        if (write_predictions(folder, number, atoi(argv[1]), atoi(argv[2])))
            return 1;
    }
    return 0;
}
