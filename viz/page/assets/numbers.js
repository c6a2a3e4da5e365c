// The numbers behind layers and attention: a stream is unpacked when it is first needed, over tokens or words.

function numbersOf(data) {
  const { tokens, words, groups, segment, names, answer } = data;
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
  data.cuts = { words: cut(words, wordOf, starts), tokens: cut(tokens, tokens.map((_, i) => i), null) };
  for (const stack of data.stacks) {
    const unpacked = lazily((layer) => unpack(layer === "all" ? stack.total.stream : stack.streams[layer]));
    stack.plane = async (layer, head, size) => {
      const levels = await unpacked(layer);
      const n = layer === "all" || stack.heads === 1 || head === "all" ? 0 : Number(head) + 1;
      const peak = layer === "all" ? stack.total.peak : stack.peaks[layer][n];
      const numbers = new Float32Array(size);
      for (let i = 0; i < size; i++) {
        const level = levels[n * size + i];
        numbers[i] = Math.sign(level) * (level / stack.levels) ** 2 * peak;
      }
      return numbers;
    };
  }
  return data;
}

// Neighbours added up, group by group; starts of the groups, or null to leave an axis as it is. Queries' weights: means.
function merged(numbers, Q, K, rows, columns, mean = false) {
  const [R, C] = [rows?.length ?? Q, columns?.length ?? K];
  if (!rows && !columns) return numbers;
  const owner = (starts, count) => {
    const groups = new Int32Array(count);
    for (let i = 0, g = 0; i < count; i++) { if (starts && starts[g + 1] === i) g++; groups[i] = starts ? g : i; }
    return groups;
  };
  const [ofRow, ofColumn] = [owner(rows, Q), owner(columns, K)];
  const sums = new Float32Array(R * C);
  for (let r = 0; r < Q; r++) {
    const first = rows?.[ofRow[r]];
    const share = mean && rows ? 1 / ((rows[ofRow[r] + 1] ?? Q) - first) : 1;
    for (let c = 0; c < K; c++) sums[ofRow[r] * C + ofColumn[c]] += share * numbers[r * K + c];
  }
  return sums;
}

async function unpack(text) {
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Int8Array(await new Response(stream).arrayBuffer());
}

function strongestOf(line, count) {
  const order = [];
  line.forEach((n, i) => {
    if (!n) return;
    let at = order.length;
    while (at && Math.abs(line[order[at - 1]]) < Math.abs(n)) at--;
    if (at < count) { order.splice(at, 0, i); order.length = Math.min(count, order.length); }
  });
  return order;
}

// The matrix of a head, of all heads of a layer or of all layers, over words or tokens.
async function viewOf(data, stack, { layer, head, name }, cut) {
  const own = data.cuts[cut];
  const axis = (names) => (names ? { names, groups: null, runs: null, answer: null } : own);
  const [rows, columns] = [axis(stack.queries), axis(stack.keys)];
  const [Q, K] = [(stack.queries ?? data.tokens).length, (stack.keys ?? data.tokens).length];
  const plane = await stack.plane(layer, head, Q * K);
  const numbers = merged(plane, Q, K, rows.groups, columns.groups, stack.weights);
  const width = columns.names.length;
  const row = (r) => numbers.subarray(r * width, (r + 1) * width);
  const column = (c) => Float32Array.from({ length: rows.names.length }, (_, r) => numbers[r * width + c]);
  let largest = 0;
  for (const n of numbers) if (Math.abs(n) > Math.abs(largest)) largest = n;
  return { name, unit: stack.unit, rows, columns, numbers, row, column, largest, at: (r, c) => numbers[r * width + c], square: rows === columns };
}
