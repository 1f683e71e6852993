/*
 * base/file.h - what POSIX leaves to do by hand when writing files.
 */
#ifndef JC_FILE_H
#define JC_FILE_H

#include <stdbool.h>
#include <stddef.h>

/* Writes all of it, whatever short writes and signals come between; false with errno set when that fails. */
bool jc_write_all(int fd, const void *data, size_t n);

#endif
