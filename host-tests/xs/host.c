/*
 * xs-host script.js [argument...]: runs one classic script in an XS machine and measures it.
 *
 * Built by engine.ts from this file and XS's sources; started by suites.ts. The script finds one global,
 * `xs`, declared with its units in measure.ts. What `xs` measures comes from the machine's own fields, and
 * asking for it allocates neither slots nor chunks, so that the instrument does not see itself.
 *
 * Promise jobs run after the script, then `xs.onEnd` if the script set it, then jobs again. Exit status:
 * what xs.exitCode was given, or 1 after an uncaught exception, an unhandled rejection or an abort of XS.
 */
#include "xsAll.h"
#include "xsScript.h"

/*
 * XS's table of what a linker may leave out, with functions of ours for two that are left out on a board:
 * what gives each new function a `length` and a `name`. Until xs.stripFunctions both do their work.
 */
static int stripped = 0;

static txSlot* newFunctionLength(txMachine* the, txSlot* instance, txNumber length)
{
	return stripped ? C_NULL : fxNewFunctionLength(the, instance, length);
}

static txSlot* newFunctionName(txMachine* the, txSlot* instance, txID id, txIndex index, txID former, txString prefix)
{
	return stripped ? C_NULL : fxNewFunctionName(the, instance, id, index, former, prefix);
}

#define fxNewFunctionLength newFunctionLength
#define fxNewFunctionName newFunctionName
#include "xsDefaults.c"
#undef fxNewFunctionLength
#undef fxNewFunctionName

static int exitCode = 0;
static int codeBytes = 0;

/* Large enough that a test seldom collects by itself, and growing; nothing here changes what is counted. */
static txCreation creation = {
	.initialChunkSize = 16 * 1024 * 1024,
	.incrementalChunkSize = 4 * 1024 * 1024,
	.initialHeapCount = 256 * 1024,
	.incrementalHeapCount = 128 * 1024,
	.stackCount = 16 * 1024,
	.initialKeyCount = 8 * 1024,
	.incrementalKeyCount = 1024,
	.nameModulo = 1993,
	.symbolModulo = 127,
	.parserBufferSize = 4 * 1024 * 1024,
	.parserTableModulo = 1993,
};

/* The functions of `xs`. */

static void hostPrint(txMachine* the)
{
	puts(mxArgc > 0 ? fxToString(the, mxArgv(0)) : "");
}

static void hostExitCode(txMachine* the)
{
	exitCode = mxArgc > 0 ? fxToInteger(the, mxArgv(0)) : 0;
}

/*
 * mxFrequency makes the interpreter count each dispatched bytecode under its opcode, once and nothing else.
 * XS's own meter (mxMetering) would add charges for built-in functions and for the engine's stack pushes.
 */
static void hostBytecodes(txMachine* the)
{
	txNumber sum = 0;
	for (int code = 0; code < XS_CODE_COUNT; code++)
		sum += the->frequencies[code];
	fxNumber(the, mxResult, sum);
}

static void hostSlots(txMachine* the)
{
	fxInteger(the, mxResult, the->currentHeapCount);
}

static void hostChunkBytes(txMachine* the)
{
	fxInteger(the, mxResult, the->currentChunksSize);
}

static void hostCollections(txMachine* the)
{
	fxInteger(the, mxResult, the->garbageCollectionCount);
}

static void hostCodeBytes(txMachine* the)
{
	fxInteger(the, mxResult, codeBytes);
}

static void hostCollect(txMachine* the)
{
	fxCollectGarbage(the);
}

static void hostStackSlots(txMachine* the)
{
	fxInteger(the, mxResult, the->stackTop - the->stack);
	the->stackPeak = the->stack;
}

static void hostStackPeak(txMachine* the)
{
	fxInteger(the, mxResult, the->stackTop - the->stackPeak);
}

static void hostStripFunctions(txMachine* the)
{
	(void)the;
	stripped = 1;
}

static const struct {
	const char* name;
	txCallback callback;
	txInteger length;
} functions[] = {
	{ "print", hostPrint, 1 },
	{ "exitCode", hostExitCode, 1 },
	{ "bytecodes", hostBytecodes, 0 },
	{ "slots", hostSlots, 0 },
	{ "chunkBytes", hostChunkBytes, 0 },
	{ "collections", hostCollections, 0 },
	{ "codeBytes", hostCodeBytes, 0 },
	{ "collect", hostCollect, 0 },
	{ "stackSlots", hostStackSlots, 0 },
	{ "stackPeak", hostStackPeak, 0 },
	{ "stripFunctions", hostStripFunctions, 0 },
};

static txID nameOf(txMachine* the, const char* name)
{
	return fxID(the, (txString)name);
}

/* Leaves `xs` on the stack: the garbage collector must see it until the global object holds it. */
static void defineHostObject(txMachine* the, int argumentCount, char** arguments)
{
	mxPush(mxObjectPrototype);
	txSlot* property = fxLastProperty(the, fxNewObjectInstance(the));
	for (size_t index = 0; index < sizeof(functions) / sizeof(functions[0]); index++)
		property = fxNextHostFunctionProperty(the, property, functions[index].callback,
			functions[index].length, nameOf(the, functions[index].name), XS_DONT_ENUM_FLAG);
	property = fxNextIntegerProperty(the, property, sizeof(txSlot), nameOf(the, "slotBytes"), XS_GET_ONLY);
	property = fxNextUndefinedProperty(the, property, nameOf(the, "onEnd"), XS_NO_FLAG);

	mxPush(mxArrayPrototype);
	txSlot* array = fxNewArrayInstance(the);
	fxNextSlotProperty(the, property, the->stack, nameOf(the, "args"), XS_GET_ONLY);
	for (int index = 0; index < argumentCount; index++) {
		mxPushStringC(arguments[index]);
		mxBehaviorSetProperty(the, array, XS_NO_ID, index, XS_OWN)->kind = XS_UNDEFINED_KIND;
		txSlot* item = mxBehaviorGetProperty(the, array, XS_NO_ID, index, XS_OWN);
		item->kind = the->stack->kind;
		item->value = the->stack->value;
		mxPop();
	}
	mxPop();

	mxDub();
	mxPush(mxGlobal);
	mxSetID(nameOf(the, "xs"));
	mxPop();
}

/* Running. */

static int nextCharacter(void* file)
{
	return fgetc(file);
}

/*
 * Parsed without the debugger's line codes, which would be counted as bytecodes: stacks name functions
 * but no lines. A syntax error is thrown by XS like any other.
 */
static void runScript(txMachine* the, FILE* file)
{
	txSlot* realm = mxProgram.value.reference->next->value.module.realm;
	txScript* script = fxParseScript(the, file, nextCharacter, mxProgramFlag);
	fclose(file);
	codeBytes = script->codeSize;
	fxRunScript(the, script, mxRealmGlobal(realm), C_NULL, mxRealmClosures(realm)->value.reference,
		C_NULL, mxProgram.value.reference);
	mxPop();
}

static void runPromiseJobs(txMachine* the)
{
	while (the->promiseJobsWait) {
		the->promiseJobsWait = 0;
		fxRunPromiseJobs(the);
		fxEndJob(the);
	}
}

/* `xs` is on the stack. */
static void callOnEnd(txMachine* the)
{
	txSlot* host = the->stack;
	mxPushUndefined();
	mxPushSlot(host);
	mxGetID(nameOf(the, "onEnd"));
	if (!mxIsUndefined(the->stack)) {
		mxCall();
		mxRunCount(0);
	}
	else
		mxPop();
	mxPop();
}

static void runProgram(txMachine* the, FILE* file, int argumentCount, char** arguments)
{
	mxTry(the) {
		defineHostObject(the, argumentCount, arguments);
		runScript(the, file);
		runPromiseJobs(the);
		callOnEnd(the);
		runPromiseJobs(the);
		fxCheckUnhandledRejections(the, 1);
	}
	mxCatch(the) {
		fxAbort(the, XS_UNHANDLED_EXCEPTION_EXIT);
	}
}

int main(int argumentCount, char** arguments)
{
	if (argumentCount < 2) {
		fprintf(stderr, "usage: %s script.js [argument...]\n", arguments[0]);
		return 2;
	}
	FILE* file = fopen(arguments[1], "rb");
	if (!file) {
		fprintf(stderr, "%s: %s\n", arguments[1], strerror(errno));
		return 2;
	}
	txMachine* the = fxCreateMachine(&creation, arguments[0], C_NULL, XS_NO_ID);
	if (!the) {
		fprintf(stderr, "%s: no memory for an XS machine\n", arguments[0]);
		return 1;
	}
	fxBeginHost(the);
	runProgram(the, file, argumentCount - 2, arguments + 2);
	fflush(stdout);
	return exitCode;
}

/* What XS asks of its platform. */

void fxQueuePromiseJobs(txMachine* the)
{
	the->promiseJobsWait = 1;
}

/* An Error has a stack, which starts with its message; anything else that was thrown has only its text. */
static void printException(txMachine* the, const char* what)
{
	mxTry(the) {
		mxPush(mxException);
		if (mxIsReference(the->stack)) {
			mxDub();
			mxGetID(mxID(_stack));
			if (mxIsUndefined(the->stack))
				mxPop();
		}
		fprintf(stderr, "%s: %s\n", what, fxToString(the, the->stack));
	}
	mxCatch(the) {
		fprintf(stderr, "%s\n", what);
	}
}

void fxAbort(txMachine* the, int status)
{
	fflush(stdout);
	switch (status) {
	case XS_UNHANDLED_EXCEPTION_EXIT:
		printException(the, "uncaught exception");
		break;
	case XS_UNHANDLED_REJECTION_EXIT:
		printException(the, "unhandled rejection");
		break;
	case XS_STACK_OVERFLOW_EXIT:
		fprintf(stderr, "XS: stack overflow\n");
		break;
	case XS_NOT_ENOUGH_MEMORY_EXIT:
		fprintf(stderr, "XS: memory full\n");
		break;
	case XS_NO_MORE_KEYS_EXIT:
		fprintf(stderr, "XS: no more keys\n");
		break;
	default:
		fprintf(stderr, "XS: abort %d\n", status);
		break;
	}
	exit(1);
}
