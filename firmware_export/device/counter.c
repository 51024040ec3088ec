/* Hooks for the emulator: how often each basic block ran, and which memory it touched.
 *
 * In C because they are called for every block and every access; compiled on the host when first
 * used. Unicorn's callbacks are declared in its unicorn.h; only the types are repeated here.
 */
#include <stdint.h>

enum { WRITE_ACCESS = 17 };   /* uc_mem_type UC_MEM_WRITE */
enum { STATUS_REGISTER = 3 }; /* UC_ARM_REG_CPSR */
#define IT_STATE 0x0600fc00u

/* Addresses from begin on, before end. */
typedef struct {
    uint32_t begin, end, writable, is_flash;
} edgecnn_range;

/* A block in a layer: times it ran, and times it was entered by a jump. */
typedef struct {
    uint32_t address, size, layer, used;
    uint64_t runs, jumps;
} edgecnn_block;

typedef struct {
    uint64_t flash_reads, ram_reads, ram_writes; /* bytes */
} edgecnn_traffic;

typedef struct {
    /* Set by the host. */
    edgecnn_block *blocks;
    edgecnn_traffic *traffic; /* one of each layer */
    const edgecnn_range *ranges;
    const uint32_t *marks; /* one more than the layer that begins at an address, by address >> 1 */
    int (*stop)(void *emulator);
    int (*read_register)(void *emulator, int number, void *value);
    int (*write_register)(void *emulator, int number, const void *value);
    uint32_t block_mask, range_count, marks_begin, marks_end, needs_alignment;
    /* What was counted. */
    uint32_t layer, next, overflowed;
    uint32_t fault_address, fault_size, fault_is_write, fault_is_alignment, has_fault;
} edgecnn_counters;

static void pass_mark(edgecnn_counters *c, uint32_t address) {
    if (address >= c->marks_begin && address < c->marks_end) {
        const uint32_t layer = c->marks[(address - c->marks_begin) >> 1];
        c->layer = layer != 0u ? layer - 1u : c->layer;
    }
}

void edgecnn_on_mark(void *emulator, uint64_t address, uint32_t size, void *user) {
    (void)emulator;
    (void)size;
    pass_mark((edgecnn_counters *)user, (uint32_t)address);
}

void edgecnn_on_block(void *emulator, uint64_t address64, uint32_t size, void *user) {
    edgecnn_counters *const c = (edgecnn_counters *)user;
    const uint32_t address = (uint32_t)address64;
    pass_mark(c, address);
    uint32_t slot = ((address >> 1) * 2654435761u ^ c->layer * 40503u) & c->block_mask;
    for (uint32_t tried = 0; tried <= c->block_mask; ++tried, slot = (slot + 1u) & c->block_mask) {
        edgecnn_block *const b = &c->blocks[slot];
        if (b->used == 0u) {
            *b = (edgecnn_block){address, size, c->layer, 1u, 0u, 0u};
        }
        if (b->address == address && b->size == size && b->layer == c->layer) {
            b->runs += 1u;
            b->jumps += c->next != address;
            c->next = address + size;
            return;
        }
    }
    c->overflowed = 1u;
    c->stop(emulator);
}

static void fault(void *emulator, edgecnn_counters *c, uint32_t address, int size, int is_write,
                  int is_alignment) {
    if (c->has_fault == 0u) {
        c->has_fault = 1u;
        c->fault_address = address;
        c->fault_size = (uint32_t)size;
        c->fault_is_write = (uint32_t)is_write;
        c->fault_is_alignment = (uint32_t)is_alignment;
    }
    c->stop(emulator);
}

/* Before it calls a hook, Unicorn 2.1 writes the IT state of the instruction, which its translated
 * code keeps at zero, into the core, and the instructions after an IT block are skipped then. */
static void clear_it_state(void *emulator, const edgecnn_counters *c) {
    uint32_t status = 0u;
    c->read_register(emulator, STATUS_REGISTER, &status);
    if ((status & IT_STATE) != 0u) {
        status &= ~IT_STATE;
        c->write_register(emulator, STATUS_REGISTER, &status);
    }
}

void edgecnn_on_access(void *emulator, int type, uint64_t address64, int size, int64_t value,
                       void *user) {
    edgecnn_counters *const c = (edgecnn_counters *)user;
    const uint32_t address = (uint32_t)address64;
    const int is_write = type == WRITE_ACCESS;
    (void)value;
    clear_it_state(emulator, c);
    if (c->needs_alignment != 0u && size > 1 && address % (uint32_t)size != 0u) {
        fault(emulator, c, address, size, is_write, 1);
        return;
    }
    for (uint32_t i = 0; i < c->range_count; ++i) {
        const edgecnn_range *const r = &c->ranges[i];
        if (address >= r->begin && address - r->begin + (uint32_t)size <= r->end - r->begin) {
            edgecnn_traffic *const t = &c->traffic[c->layer];
            if (is_write && r->writable == 0u) {
                break;
            }
            *(is_write ? &t->ram_writes : r->is_flash ? &t->flash_reads : &t->ram_reads) +=
                (uint64_t)size;
            return;
        }
    }
    fault(emulator, c, address, size, is_write, 0);
}
