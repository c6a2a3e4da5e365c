// The numbers behind the pictures: unpacked when first asked for, over tokens or words.

function numbersOf(told) {
  const { tokens, words, groups, segment, names, answer } = told;
  const starts = [];
  let at = 0;
  for (const size of groups) { starts.push(at); at += size; }
  const wordOf = tokens.map(() => 0);
  groups.forEach((size, w) => { for (let i = 0; i < size; i++) wordOf[starts[w] + i] = w; });
  const cut = (list, place, merge) => ({
    names: list,
    place,
    groups: merge,
    answer: answer && answer.map((token) => place[token]),
    runs: names.some(Boolean) ? names.map((name, s) => ({ name, at: place[segment.indexOf(s)] })).filter((run) => run.at !== undefined) : [],
  });
  told.cuts = { words: cut(words, wordOf, starts), tokens: cut(tokens, tokens.map((_, i) => i), null) };
  for (const stack of told.stacks) {
    const unpacked = lazily((layer) => unpack(layer === "all" ? stack.everywhere.stream : stack.streams[layer]));
    stack.plane = async (layer, head, size) => {
      const levels = await unpacked(layer);
      const n = layer === "all" || stack.heads === 1 || head === "all" ? 0 : Number(head) + 1;
      const peak = layer === "all" ? stack.everywhere.peak : stack.peaks[layer][n];
      const found = new Float32Array(size);
      for (let i = 0; i < size; i++) {
        const level = levels[n * size + i];
        found[i] = Math.sign(level) * (level / stack.levels) ** 2 * peak;
      }
      return found;
    };
  }
  return told;
}

// Neighbours added up, group by group; starts of the groups, or null to leave an axis as it is. Queries' weights: means.
function merged(numbers, Q, K, rows, columns, mean = false) {
  const [R, C] = [rows?.length ?? Q, columns?.length ?? K];
  if (!rows && !columns) return numbers;
  const owner = (starts, count) => {
    const found = new Int32Array(count);
    for (let i = 0, g = 0; i < count; i++) { if (starts && starts[g + 1] === i) g++; found[i] = starts ? g : i; }
    return found;
  };
  const [ofRow, ofColumn] = [owner(rows, Q), owner(columns, K)];
  const found = new Float32Array(R * C);
  for (let r = 0; r < Q; r++) {
    const first = rows?.[ofRow[r]];
    const share = mean && rows ? 1 / ((rows[ofRow[r] + 1] ?? Q) - first) : 1;
    for (let c = 0; c < K; c++) found[ofRow[r] * C + ofColumn[c]] += share * numbers[r * K + c];
  }
  return found;
}

async function unpack(text) {
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Int8Array(await new Response(stream).arrayBuffer());
}

function strongestOf(line, count) {
  const found = [];
  line.forEach((n, i) => {
    if (!n) return;
    let at = found.length;
    while (at && Math.abs(line[found[at - 1]]) < Math.abs(n)) at--;
    if (at < count) { found.splice(at, 0, i); found.length = Math.min(count, found.length); }
  });
  return found;
}

// The matrix of a head, of all heads of a layer or of all layers, over words or tokens.
async function viewOf(told, stack, { layer, head, name }, cut) {
  const own = told.cuts[cut];
  const given = (names) => (names ? { names, groups: null, runs: null, answer: null } : own);
  const [rows, columns] = [given(stack.queries), given(stack.keys)];
  const [Q, K] = [(stack.queries ?? told.tokens).length, (stack.keys ?? told.tokens).length];
  const plane = await stack.plane(layer, head, Q * K);
  const numbers = merged(plane, Q, K, rows.groups, columns.groups, stack.weights);
  const width = columns.names.length;
  const row = (r) => numbers.subarray(r * width, (r + 1) * width);
  const column = (c) => Float32Array.from({ length: rows.names.length }, (_, r) => numbers[r * width + c]);
  let largest = 0;
  for (const n of numbers) if (Math.abs(n) > Math.abs(largest)) largest = n;
  return { name, unit: stack.unit, rows, columns, numbers, row, column, largest, at: (r, c) => numbers[r * width + c], square: rows === columns };
}
