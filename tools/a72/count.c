/* Counts the instructions that an emulated program executes, and how often it misses a data cache, region by region.
 *
 * A plugin for qemu-aarch64 7.2 (plugin API 1): -plugin count.so,out=FILE[,cache=on]. The program ends a region by the
 * system call 0x5a72, which does not exist, with the region's number; a line of JSON then tells what was counted since
 * the last one. Right for one thread: the emulator does not count with a lock.
 *
 * The cache is the Cortex-A72's first one for data: 32 KB, two ways, lines of 64 bytes, the least recently used goes.
 * Debian ships no header of the plugin API, so the few functions that are used are declared here. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef void (*on_block)(plugin_id, struct qemu_plugin_tb *);
typedef void (*on_memory)(unsigned cpu, uint32_t what, uint64_t address, void *data);
typedef void (*on_syscall)(plugin_id, unsigned cpu, int64_t number, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                           uint64_t, uint64_t, uint64_t);

void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, on_block);
void qemu_plugin_register_vcpu_syscall_cb(plugin_id, on_syscall);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, int operation, void *, uint64_t);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *, on_memory, int registers, int reads_or_writes, void *);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);

enum { ADD = 0, NO_REGISTERS = 0, READS_AND_WRITES = 3, REGION_ENDS = 0x5a72, LINE_BITS = 6, SETS = 256 };

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

static FILE *out;
static bool has_cache;
static uint64_t instructions, misses;
static uint64_t newer[SETS], older[SETS]; /* the two lines of each set; 0 where there is none */

static void memory_used(unsigned cpu, uint32_t what, uint64_t address, void *data)
{
    uint64_t line = (address >> LINE_BITS) + 1, set = line % SETS;

    if (newer[set] == line)
        return;
    if (older[set] != line)
        misses++;
    older[set] = newer[set];
    newer[set] = line;
}

static void block_translated(plugin_id id, struct qemu_plugin_tb *block)
{
    size_t count = qemu_plugin_tb_n_insns(block);

    qemu_plugin_register_vcpu_tb_exec_inline(block, ADD, &instructions, count);
    for (size_t i = 0; has_cache && i < count; i++)
        qemu_plugin_register_vcpu_mem_cb(qemu_plugin_tb_get_insn(block, i), memory_used, NO_REGISTERS,
                                         READS_AND_WRITES, NULL);
}

static void syscall_made(plugin_id id, unsigned cpu, int64_t number, uint64_t region, uint64_t a2, uint64_t a3,
                         uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8)
{
    if (number != REGION_ENDS)
        return;
    fprintf(out, "{\"region\": %" PRIu64 ", \"instructions\": %" PRIu64, region, instructions);
    if (has_cache)
        fprintf(out, ", \"misses\": %" PRIu64, misses);
    fputs("}\n", out);
    fflush(out);
    instructions = misses = 0;
}

__attribute__((visibility("default"))) int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        if (!strncmp(argv[i], "out=", 4))
            out = fopen(argv[i] + 4, "w");
        has_cache |= !strcmp(argv[i], "cache=on");
    }
    if (!out) {
        fputs("count.so: give a file that can be written, as out=FILE\n", stderr);
        return -1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, block_translated);
    qemu_plugin_register_vcpu_syscall_cb(id, syscall_made);
    return 0;
}
