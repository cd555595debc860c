/** Lines over logarithmic axes, as SVG that stands alone and can be read in light and dark. */

export interface Series {
  readonly title: string
  readonly points: readonly (readonly [x: number, y: number])[]
  /** Drawn thicker: the line the plot is about. */
  readonly emphasis: boolean
}

export interface Plot {
  readonly title: string
  readonly xTitle: string
  readonly yTitle: string
  /** Marks of the x axis. */
  readonly marks: readonly (readonly [x: number, label: string])[]
  readonly series: readonly Series[]
}

const WIDTH = 970
const HEIGHT = 520
const LEFT = 70
const RIGHT = 360
const TOP = 44
const BOTTOM = 56
const LEGEND_STEP = 20
/** Told apart with any colour vision, after Okabe and Ito; then again with dashes. */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#7f7f7f']
const DASHES = ['', '7 4', '2 3']

export function drawPlot({ title, xTitle, yTitle, marks, series }: Plot): string {
  const drawn = series.filter(({ points }) => points.length > 0)
  const ys = drawn.flatMap(({ points }) => points.map(([, y]) => y))
  const decades = decadesOf(ys)
  const x = scale(marks[0]![0], marks.at(-1)![0], LEFT, WIDTH - RIGHT)
  const y = scale(decades[0]!, decades.at(-1)!, HEIGHT - BOTTOM, TOP)
  const middle = (LEFT + WIDTH - RIGHT) / 2
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="13">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#ffffff"/>`,
    text(middle, 24, title, 'middle', ' font-size="16"'),
    ...marks.flatMap(([value, label]) => [
      line(x(value), TOP, x(value), HEIGHT - BOTTOM),
      text(x(value), HEIGHT - BOTTOM + 18, label, 'middle')
    ]),
    ...decades.flatMap((value) => [
      line(LEFT, y(value), WIDTH - RIGHT, y(value)),
      text(LEFT - 8, y(value) + 4, formatNumber(value), 'end')
    ]),
    text(middle, HEIGHT - 14, xTitle, 'middle'),
    text(
      0,
      0,
      yTitle,
      'middle',
      ` transform="translate(18 ${(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)"`
    ),
    ...drawn.flatMap((one, index) => drawSeries(one, index, x, y)),
    '</svg>',
    ''
  ].join('\n')
}

type Scale = (value: number) => number

function drawSeries({ title, points, emphasis }: Series, index: number, x: Scale, y: Scale) {
  const stroke = COLOURS[index % COLOURS.length]!
  const dash = emphasis ? '' : DASHES[Math.floor(index / COLOURS.length) % DASHES.length]!
  const style = `fill="none" stroke="${stroke}" stroke-width="${emphasis ? 3.5 : 1.5}"${dash && ` stroke-dasharray="${dash}"`}`
  const at = points.map((point) => `${round(x(point[0]))},${round(y(point[1]))}`)
  const legendY = TOP + 8 + index * LEGEND_STEP
  const legendX = WIDTH - RIGHT + 16
  return [
    `<polyline points="${at.join(' ')}" ${style}/>`,
    ...at.map((place) => {
      const [cx, cy] = place.split(',')
      return `<circle cx="${cx}" cy="${cy}" r="${emphasis ? 4 : 2.5}" fill="${stroke}"/>`
    }),
    `<line x1="${legendX}" y1="${legendY}" x2="${legendX + 26}" y2="${legendY}" ${style}/>`,
    text(
      legendX + 32,
      legendY + 4,
      title,
      'start',
      emphasis ? ' font-weight="bold" font-size="12"' : ' font-size="12"'
    )
  ]
}

/** 1, 2 and 5 of each power of ten, from below the least value to above the largest. */
function decadesOf(values: readonly number[]): number[] {
  const steps: number[] = []
  const least = Math.min(...values)
  const most = Math.max(...values)
  for (let power = Math.floor(Math.log10(least)); power <= Math.ceil(Math.log10(most)); power++) {
    for (const factor of [1, 2, 5]) steps.push(factor * 10 ** power)
  }
  const first = steps.findLastIndex((step) => step <= least)
  const last = steps.findIndex((step) => step >= most)
  return steps.slice(Math.max(0, first), Math.max(first + 2, last + 1))
}

function scale(low: number, high: number, from: number, to: number): Scale {
  const span = Math.log(high / low)
  return (value) => from + (Math.log(value / low) / span) * (to - from)
}

function line(x1: number, y1: number, x2: number, y2: number): string {
  return `<line x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}" stroke="#dddddd"/>`
}

function text(x: number, y: number, content: string, anchor: string, more = ''): string {
  return `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}" fill="#222222"${more}>${escapeText(content)}</text>`
}

function escapeText(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}

function round(value: number): string {
  return String(Math.round(value * 10) / 10)
}

function formatNumber(value: number): string {
  return value >= 1000 ? value.toLocaleString('en-US') : String(Number(value.toPrecision(1)))
}
