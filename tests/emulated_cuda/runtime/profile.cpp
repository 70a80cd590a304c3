// What the accesses of a launch would cost on a card, for launches that are checked and ask for it.
//
// A card serves the accesses of a warp's lanes to one instruction together: a request. Of global memory it moves sectors of 32
// bytes, so a request is dear that touches more sectors than its bytes would fill. Shared memory has 32 banks of 4 bytes: words
// of one bank are served one after the other, in wavefronts; accesses of 8 and 16 bytes go in two and four parts.
//
// Lanes run apart here, so a request is put together of the n-th time that each lane of the warp came by an instruction. Where
// lanes take different numbers of turns through a loop that is the card's too; after a branch it may differ a little.
#include <algorithm>
#include <unordered_map>

#include "state.h"

namespace emu {

struct Lane {
  uint64_t address;
  uint32_t lane, size;
};
typedef std::map<std::pair<uint64_t, uint64_t>, std::vector<Lane>> Requests;  // by (warp in the grid, pc and kind), n-th time

static Requests requests;
static std::map<std::pair<uint32_t, uint64_t>, uint64_t> turns;  // (thread, pc and kind) -> how often

void clear_profile() {
  requests.clear();
  turns.clear();
}

void note_access(const char* p, unsigned size, Access kind, uint32_t pc, bool shared) {
  const bool write = kind == WRITE || kind == VOLATILE_WRITE || kind == ATOMIC;
  const uint64_t what = (uint64_t)pc << 2 | (uint64_t)shared << 1 | (uint64_t)write;
  const uint64_t turn = turns[{current->global, what}]++;
  const uint64_t warp = (uint64_t)current->block->number << 5 | current->warp->number;
  requests[{what, warp << 32 | turn}].push_back({(uint64_t)p, current->number & 31, size});
}

static void add_units(std::vector<uint64_t>& units, const Lane& lane, unsigned unit) {
  for (uint64_t u = lane.address / unit; u <= (lane.address + lane.size - 1) / unit; ++u) units.push_back(u);
}

static void make_distinct(std::vector<uint64_t>& units) {
  std::sort(units.begin(), units.end());
  units.erase(std::unique(units.begin(), units.end()), units.end());
}

static void count_sectors(const std::vector<Lane>& lanes, Traffic& row) {
  std::vector<uint64_t> sectors, bytes;
  for (const Lane& lane : lanes) {
    add_units(sectors, lane, 32);
    add_units(bytes, lane, 1);
  }
  make_distinct(sectors);
  make_distinct(bytes);
  row.moved += sectors.size();
  row.least += (bytes.size() + 31) / 32;
}

static void count_wavefronts(const std::vector<Lane>& lanes, Traffic& row) {
  uint32_t size = 4;
  for (const Lane& lane : lanes) size = std::max(size, lane.size);
  const uint32_t together = size > 8 ? 8 : size > 4 ? 16 : 32;  // lanes that are served at a time
  for (uint32_t first = 0; first < 32; first += together) {
    std::vector<uint64_t> words;
    for (const Lane& lane : lanes)
      if (lane.lane >= first && lane.lane < first + together) add_units(words, lane, 4);
    if (words.empty()) continue;
    make_distinct(words);
    uint64_t in_bank[32] = {}, most = 0;
    for (const uint64_t word : words) most = std::max(most, ++in_bank[word % 32]);
    row.moved += most;
    row.least += (words.size() + 31) / 32;
  }
}

// The rows of the last launch that was profiled, one for an instruction.
extern "C" uint64_t emu_profile(Traffic* out, uint64_t most) {
  std::map<uint64_t, Traffic> rows;
  for (const auto& [key, lanes] : requests) {
    Traffic& row = rows[key.first];
    ++row.requests;
    if (key.first >> 1 & 1) count_wavefronts(lanes, row);
    else count_sectors(lanes, row);
  }
  uint64_t n = 0;
  for (auto& [what, row] : rows) {
    row.pc = what >> 2;
    row.shared = what >> 1 & 1;
    row.write = what & 1;
    if (n < most) out[n] = row;
    ++n;
  }
  return n;
}

}  // namespace emu
