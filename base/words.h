/*
 * base/words.h - how far words are apart, for messages that say what was probably meant.
 */
#ifndef JC_WORDS_H
#define JC_WORDS_H

/* Levenshtein's distance; 64 where B is that long. */
unsigned jc_words_apart(const char *a, const char *b);

#endif
