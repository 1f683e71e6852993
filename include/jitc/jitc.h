/*
 * jitc/jitc.h - all of libjitc.
 */
#ifndef JITC_JITC_H
#define JITC_JITC_H

#include "jitc/bundle.h"
#include "jitc/context.h"
#include "jitc/dlpack.h"
#include "jitc/executable.h"
#include "jitc/explain.h"
#include "jitc/frame.h"
#include "jitc/model.h"
#include "jitc/op.h"
#include "jitc/status.h"
#include "jitc/value.h"

#endif
