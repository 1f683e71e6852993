/*
 * tests/plugin_bare.c - a shared object that is no plugin, for check_ops.
 */
int no_plugin_here(void);

int no_plugin_here(void) {
    return 0;
}
