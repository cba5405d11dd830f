/*
 * What XS wants to know about the machine that host.c runs on, and which of XS's own defaults it may use.
 * Every XS source file includes this (XSPLATFORM). Chosen as on a Moddable device rather than as in xsnap:
 * plain UTF-8 strings (no mxCESU8), no debugger, no snapshots. What is missing here is in host.c.
 */
#ifndef MAISONNETTE_XS_PLATFORM
#define MAISONNETTE_XS_PLATFORM

#ifdef __APPLE__
	#undef mxMacOSX
	#define mxMacOSX 1
#else
	#undef mxLinux
	#define mxLinux 1
#endif

#include <ctype.h>
#include <errno.h>
#include <float.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define mxUseGCCAtomics 1
#define mxUsePOSIXThreads 1

#define mxUseDefaultMachinePlatform 1
#define mxUseDefaultBuildKeys 1
#define mxUseDefaultChunkAllocation 1
#define mxUseDefaultSlotAllocation 1
#define mxUseDefaultFindModule 1
#define mxUseDefaultLoadModule 1
#define mxUseDefaultParseScript 1
#define mxUseDefaultSharedChunks 1

/* The waiter fields belong to XS's Atomics; the last one is ours: promise jobs are waiting to run. */
#define mxMachinePlatform \
	void* waiterCondition; \
	void* waiterData; \
	void* waiterLink; \
	int promiseJobsWait;

/* 32-bit identifiers fit a 64-bit slot without making it larger; on a device they have 16 bits. */
#if INTPTR_MAX == INT64_MAX
	#define mx32bitID 1
#endif

#endif
