# jc_llvm.m4 - finds LLVM.

# JC_LLVM(OLDEST, NEWEST)
# Takes --with-llvm-config=PATH, or else the newest LLVM from NEWEST down to OLDEST.  Sets LLVM_CONFIG, LLVM_VERSION,
# LLVM_CPPFLAGS, LLVM_LDFLAGS, LLVM_LIBS; defines JC_LLVM_VERSION and JC_LLVM_MAJOR.  Headers come in by -isystem:
# our warnings are not for them.  Needs enable_static_llvm.
AC_DEFUN([JC_LLVM],
[AC_ARG_WITH([llvm-config],
  [AS_HELP_STRING([--with-llvm-config=PATH], [the llvm-config of the LLVM to use @<:@newest from $2 down to $1@:>@])],
  [], [with_llvm_config=check])

jc_llvm_found=
jc_llvm_rejected=
AS_CASE([$with_llvm_config],
  [no], [AC_MSG_ERROR([libjitc needs LLVM: --without-llvm-config makes no sense])],
  [yes|check],
    [jc_llvm_try=
     jc_n=$2
     while test $jc_n -ge $1; do
       jc_llvm_try="$jc_llvm_try llvm-config-$jc_n /usr/lib/llvm-$jc_n/bin/llvm-config"
       jc_n=`expr $jc_n - 1`
     done
     jc_llvm_try="$jc_llvm_try llvm-config"],
  [jc_llvm_try=$with_llvm_config])

AC_MSG_CHECKING([for LLVM $1 or newer])
for jc_try in $jc_llvm_try; do
  jc_version=`$jc_try --version 2>/dev/null`
  AS_IF([test -n "$jc_version"],
    [jc_major=${jc_version%%.*}
     AS_IF([test "$jc_major" -ge $1 2>/dev/null],
       [jc_llvm_found=$jc_try; break],
       [jc_llvm_rejected="$jc_llvm_rejected $jc_try is $jc_version;"])])
done
AS_IF([test -z "$jc_llvm_found"],
  [AC_MSG_RESULT([no])
   AC_MSG_ERROR([no LLVM from $1 up found (tried:$jc_llvm_try;$jc_llvm_rejected): install llvm-$2-dev, or the newest llvm-N-dev from $1 up that your system has, or name one by --with-llvm-config=PATH])])

LLVM_CONFIG=$jc_llvm_found
LLVM_VERSION=`echo "$jc_version" | $SED 's/@<:@^0-9.@:>@.*$//'`
AC_MSG_RESULT([$LLVM_VERSION ($LLVM_CONFIG)])

AS_CASE([" `$LLVM_CONFIG --targets-built` "],
  [*" NVPTX "*], [],
  [AC_MSG_ERROR([$LLVM_CONFIG: this LLVM was built without the NVPTX target, which libjitc needs])])

jc_llvm_include=`$LLVM_CONFIG --includedir`
jc_llvm_lib=`$LLVM_CONFIG --libdir`
LLVM_CPPFLAGS=
AS_IF([test "$jc_llvm_include" != /usr/include], [LLVM_CPPFLAGS="-isystem $jc_llvm_include"])
LLVM_LDFLAGS="-L$jc_llvm_lib"
AS_CASE([$jc_llvm_lib],
  [/usr/lib*], [],
  [LLVM_LDFLAGS="$LLVM_LDFLAGS -Wl,-rpath,$jc_llvm_lib"])

# What the static build takes: code generation for the machine itself and for NVPTX, no execution engine.
jc_llvm_components="core analysis passes linker irreader bitreader bitwriter nvptx native"
AS_IF([test "x$enable_static_llvm" = xyes],
  [jc_llvm_linkage=static
   LLVM_LIBS=`$LLVM_CONFIG --link-static --libs $jc_llvm_components` ||
     AC_MSG_ERROR([$LLVM_CONFIG has no static libraries, which --enable-static-llvm needs])
   LLVM_LIBS="$LLVM_LIBS -lstdc++ `$LLVM_CONFIG --link-static --system-libs $jc_llvm_components`"
   dnl Only parts of LLVM that are not taken use z3 (a solver for clang) and xml2 (Windows manifests).
   LLVM_LIBS=`echo $LLVM_LIBS | $SED 's|@<:@^ @:>@*/lib\(@<:@^/ @:>@*\)\.so|-l\1|g; s/ -lz3//; s/ -lxml2//'`
   JC_STATIC_LIBS([LLVM_LIBS])],
  [jc_llvm_linkage=shared
   LLVM_LIBS=`$LLVM_CONFIG --link-shared --libs 2>/dev/null`
   AS_IF([test -z "$LLVM_LIBS"],
     [jc_llvm_linkage=static
      LLVM_LIBS="`$LLVM_CONFIG --libs $jc_llvm_components` -lstdc++ `$LLVM_CONFIG --system-libs`"
      LLVM_LIBS=`echo $LLVM_LIBS`])])

jc_saved_cppflags=$CPPFLAGS
jc_saved_ldflags=$LDFLAGS
jc_saved_libs=$LIBS
CPPFLAGS="$CPPFLAGS $LLVM_CPPFLAGS"
LDFLAGS="$LDFLAGS $LLVM_LDFLAGS"
LIBS="$LLVM_LIBS $LIBS"
AC_MSG_CHECKING([whether a program links with LLVM ($jc_llvm_linkage)])
AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <llvm-c/Core.h>]], [[LLVMContextDispose(LLVMContextCreate());]])],
  [AC_MSG_RESULT([yes])],
  [AC_MSG_RESULT([no])
   AC_MSG_FAILURE([cannot compile or link with LLVM $LLVM_VERSION: install llvm-${LLVM_VERSION%%.*}-dev, and zlib1g-dev and libzstd-dev for a static build])])
CPPFLAGS=$jc_saved_cppflags
LDFLAGS=$jc_saved_ldflags
LIBS=$jc_saved_libs

AC_SUBST([LLVM_CONFIG])
AC_SUBST([LLVM_VERSION])
AC_SUBST([LLVM_CPPFLAGS])
AC_SUBST([LLVM_LDFLAGS])
AC_SUBST([LLVM_LIBS])
AC_DEFINE_UNQUOTED([JC_LLVM_VERSION], ["$LLVM_VERSION"], [The LLVM that the code generator is built with.])
AC_DEFINE_UNQUOTED([JC_LLVM_MAJOR], [${LLVM_VERSION%%.*}], [Its major version.])])
