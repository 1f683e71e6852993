/*
 * tests/gpu_help.h - is there a GPU? For programs whose tests each want to be the first in their process to touch CUDA.
 */
#ifndef JC_GPU_HELP_H
#define JC_GPU_HELP_H

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/device.h"

/* True, after a line that says why, where no GPU can be opened. */
static inline bool no_gpu(void) {
    pid_t child = fork(); /* this process stays clear of CUDA */
    if (child == 0) {
        jc_device *d = NULL;
        jc_error err = JC_ERROR_INIT;
        jitc_status status = jc_device_open("cuda", NULL, NULL, NULL, &d, &err);
        if (status != JITC_OK)
            printf("SKIP: no GPU: %s\n", err.message);
        fflush(stdout);
        _exit(status != JITC_OK);
    }
    int status = 0;
    return waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

#endif
