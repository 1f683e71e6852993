# jc_compiler.m4 - flags for the compiler and the linker.

# JC_APPEND_CFLAG(VARIABLE, FLAG)
# Adds FLAG to VARIABLE if the compiler takes it.
AC_DEFUN([JC_APPEND_CFLAG],
[AS_VAR_PUSHDEF([jc_var], [jc_cv_cflag_$2])
AC_CACHE_CHECK([whether $CC takes $2], [jc_var],
  [jc_saved_cflags=$CFLAGS
   CFLAGS="$CFLAGS -Werror $2"
   AC_COMPILE_IFELSE([AC_LANG_PROGRAM()], [AS_VAR_SET([jc_var], [yes])], [AS_VAR_SET([jc_var], [no])])
   CFLAGS=$jc_saved_cflags])
AS_VAR_IF([jc_var], [yes], [$1="$$1 $2"])
AS_VAR_POPDEF([jc_var])])

# JC_STATIC_LIBS(VARIABLE)
# Makes the linker take the archive for each -lNAME in VARIABLE, where the compiler knows one that may go into a shared
# library (NAME_pic before NAME): a folder of links to archives comes first in the search.  Paths of archives would not
# do, since libtool forgets them in convenience libraries.  The C library's own parts stay shared.
AC_DEFUN([JC_STATIC_LIBS],
[jc_static_dir=`pwd`/static-libs
AS_MKDIR_P([static-libs])
for jc_word in $$1; do
  AS_CASE([$jc_word],
    [-lm|-ldl|-lrt|-lpthread|-lc], [],
    [-l*],
      [jc_name=`echo "X$jc_word" | $SED 's/^X-l//'`
       for jc_try in ${jc_name}_pic $jc_name; do
         jc_path=`$CC -print-file-name=lib$jc_try.a`
         AS_IF([test "x$jc_path" != "xlib$jc_try.a"],
           [rm -f "static-libs/lib$jc_name.a"
            ln -s "$jc_path" "static-libs/lib$jc_name.a"
            break])
       done])
done
$1="-L$jc_static_dir $$1"])
