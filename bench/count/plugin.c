/* Counts a program's instructions and system calls for bench/count, as a plugin of qemu-user.
 *
 * The counts stand in a file that both sides map, so the driver reads them while the program runs. QEMU's headers are not
 * needed: what is used of its plugin interface is declared here, and is the same in all versions since 6.0. QEMU only wants to
 * know for which version a plugin was made: API is 1 up to 8.2, and 2 for later ones.
 */

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef API
#define API 1
#endif

/* QEMU's interface: include/qemu/qemu-plugin.h names the same things. */

typedef uint64_t qemu_plugin_id_t;
struct qemu_info; /* not looked at */
struct qemu_plugin_tb;

enum { CB_NO_REGS = 0 };

typedef void (*on_translate)(qemu_plugin_id_t id, struct qemu_plugin_tb *block);
typedef void (*on_execute)(unsigned int cpu, void *data);
typedef void (*on_call)(qemu_plugin_id_t id, unsigned int cpu, int64_t number, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                        uint64_t, uint64_t, uint64_t);
typedef void (*on_return)(qemu_plugin_id_t id, unsigned int cpu, int64_t number, int64_t result);

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, on_translate callback);
void qemu_plugin_register_vcpu_syscall_cb(qemu_plugin_id_t id, on_call callback);
void qemu_plugin_register_vcpu_syscall_ret_cb(qemu_plugin_id_t id, on_return callback);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *block, on_execute callback, int registers, void *data);

__attribute__((visibility("default"))) int qemu_plugin_version = API;

/* The file: bench/count/counters.py reads it by this layout. */

enum { SYSTEM_CALLS = 1024 };

struct counters {
    uint64_t instructions;               /* of all threads */
    uint64_t resting;                    /* whether the first thread is inside a system call */
    uint64_t system_calls[SYSTEM_CALLS]; /* by number; greater ones are the last's */
};

static struct counters *counters;

/* QEMU could add inline, but each version in another way, and a call takes hardly longer. */
static void executed(unsigned int cpu, void *instructions) {
    (void)cpu;
    __atomic_fetch_add(&counters->instructions, (uint64_t)(uintptr_t)instructions, __ATOMIC_RELAXED);
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *block) {
    (void)id;
    size_t instructions = qemu_plugin_tb_n_insns(block);
    qemu_plugin_register_vcpu_tb_exec_cb(block, executed, CB_NO_REGS, (void *)(uintptr_t)instructions);
}

static void called(qemu_plugin_id_t id, unsigned int cpu, int64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
                   uint64_t e, uint64_t f, uint64_t g, uint64_t h) {
    (void)id, (void)a, (void)b, (void)c, (void)d, (void)e, (void)f, (void)g, (void)h;
    size_t slot = number >= 0 && number < SYSTEM_CALLS ? (size_t)number : SYSTEM_CALLS - 1;
    __atomic_fetch_add(&counters->system_calls[slot], 1, __ATOMIC_RELAXED);
    if (cpu == 0)
        __atomic_store_n(&counters->resting, 1, __ATOMIC_RELEASE);
}

static void returned(qemu_plugin_id_t id, unsigned int cpu, int64_t number, int64_t result) {
    (void)id, (void)number, (void)result;
    if (cpu == 0)
        __atomic_store_n(&counters->resting, 0, __ATOMIC_RELEASE);
}

__attribute__((visibility("default"))) int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int count,
                                                               char **arguments) {
    (void)info;
    static const char NAME[] = "counters=";
    if (count != 1 || strncmp(arguments[0], NAME, sizeof NAME - 1) != 0) {
        fprintf(stderr, "count plugin: needs counters=FILE\n");
        return -1;
    }
    int file = open(arguments[0] + sizeof NAME - 1, O_RDWR | O_CLOEXEC);
    if (file < 0 || ftruncate(file, sizeof *counters) != 0) {
        perror("count plugin: the file of the counters");
        return -1;
    }
    void *mapped = mmap(NULL, sizeof *counters, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (mapped == MAP_FAILED) {
        perror("count plugin: the file of the counters");
        return -1;
    }
    counters = mapped;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_vcpu_syscall_cb(id, called);
    qemu_plugin_register_vcpu_syscall_ret_cb(id, returned);
    return 0;
}
