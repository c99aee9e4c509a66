// See look.sh.
import { readdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';

const [book, pictures] = process.argv.slice(2);
// What no reader looks at, and what repeats the others.
const aside = ['404.html', 'index.html', 'print.html', 'toc.html'];
const pages = readdirSync(book).filter((name) => name.endsWith('.html') && !aside.includes(name));

// What is wider than its room. Tables and code scroll by themselves; whatever else does, moves a part of the page with it.
function tooWide() {
    const scrolls = ['auto', 'scroll', 'hidden'];
    const mayScroll = '.table-wrapper, pre, pre *, #mdbook-sidebar, #mdbook-sidebar *';
    const around = [document.documentElement, ...document.querySelectorAll('body, body *')];
    return around
        .filter((element) => element.scrollWidth > element.clientWidth && !element.matches(mayScroll))
        .filter((element) => element === around[0] || scrolls.includes(getComputedStyle(element).overflowX))
        .map((element) => `${element.localName}.${element.className} scrolls by ${element.scrollWidth - element.clientWidth} px`);
}

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ['--no-sandbox'] });
let sideways = 0;
for (const colorScheme of ['light', 'dark']) {
    for (const width of [390, 1280]) {
        const context = await browser.newContext({ colorScheme, viewport: { width, height: 844 } });
        const page = await context.newPage();
        for (const name of pages) {
            await page.goto(pathToFileURL(resolve(book, name)).href);
            for (const wide of await page.evaluate(tooWide)) {
                sideways += 1;
                console.error(`${name} at ${width} px, ${colorScheme}: ${wide}`);
            }
            const path = `${pictures}/${name.replace('.html', '')}-${width}-${colorScheme}.png`;
            await page.screenshot({ path, fullPage: true });
        }
        await context.close();
    }
}
await browser.close();
console.log(`${pages.length} pages, ${sideways} parts that scroll sideways`);
process.exit(sideways > 0 || pages.length === 0 ? 1 : 0);
