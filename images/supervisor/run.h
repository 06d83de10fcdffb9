/* State of a run, and what run.c and handshake.c ask of each other. */
#ifndef ALCOVE_RUN_H
#define ALCOVE_RUN_H

#include "supervisor.h"

#define STDOUT_WITHIN SECOND /* for a slow reader, once all else is done */

enum phase {
    CONNECTING,   /* until the recorder said ready */
    LOADING,      /* --go runner: until the command asks for the go, or to construct */
    ANNOUNCING,   /* --free-constructor: until the recorder said constructing */
    CONSTRUCTING, /* until the command asks for the go or ends, or the free time does */
    ASKING,       /* until the recorder said started */
    RUNNING,      /* until the command ends, or the budget does */
    KILLING,      /* until no process is left */
    SEALING,      /* until the recorder said sealed */
    FINISHED,
};

struct run {
    const struct options *options;
    struct link link;
    struct output output;
    struct child child; /* pid 0: none (yet, or any more) */
    int signal_fd;
    enum phase phase;
    int64_t phase_ends; /* when this phase is given up */
    int64_t budget_ns, asked_at, t0_ns, ended_at, oom_kills;
    bool disclosed, terminated, sealed;
    bool constructed;        /* the participant's code may have run before the go */
    bool ended_before_go;    /* and the command has ended, with this status, so that only the go is awaited */
    int status_before_go;
    const char *cause;
    int code, signal, exit_status;
};

/* run.c */
void enter(struct run *run, enum phase phase, int64_t ends);
/* Kills all there is, and keeps the first reason only. */
void end_command(struct run *run, const char *cause, int code, int signal, int exit_status);
void recorder_lost(struct run *run, const char *what);
void start_command(struct run *run);
/* status: as from waitpid. */
void command_ended(struct run *run, int status);

/* handshake.c */
void ask_for_go(struct run *run, int64_t now);
void link_event(struct run *run, short events, int64_t now);
/* Queues what is due, in this order: the request to construct, the go, output, and when all of that is out, the end. */
void link_next(struct run *run);

#endif
