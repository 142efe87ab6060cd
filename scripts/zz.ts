import { writeSync } from 'node:fs';
setInterval(()=>{ const r=process.getActiveResourcesInfo(); const c:Record<string,number>={}; for(const x of r) c[x]=(c[x]??0)+1; writeSync(2, `${Math.round(performance.now()/1000)}s ${JSON.stringify(c)} cpu ${Math.round(process.cpuUsage().user/1e6)} rss ${process.memoryUsage().rss>>20}\n`)},5000).unref();
await import('./chaos.ts');
