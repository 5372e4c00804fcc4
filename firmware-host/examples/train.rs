use std::path::Path; use std::collections::BTreeMap;
use trm_firmware_host::vision::*; use trm_solver::classify::*; use trm_solver::engine::ort::OrtEngine;
use trm_export::classifier::*; use trm_export::train::*;
fn main(){ let a:Vec<String>=std::env::args().collect(); let dir=&a[1]; let steps:usize=a[3].parse().unwrap(); let folds:usize=a[4].parse().unwrap();
 let mut photos=Vec::new(); let csv=std::fs::read_to_string(format!("{dir}/outlines.csv")).unwrap();
 let t=std::time::Instant::now();
 let mut names:Vec<_>=std::fs::read_dir(dir).unwrap().map(|e|e.unwrap().path()).filter(|p|p.extension().is_some_and(|e|e=="jpg")).collect(); names.sort();
 for p in names { let dat=std::fs::read_to_string(p.with_extension("dat")).unwrap(); let truth:Vec<u8>=dat.lines().skip(2).flat_map(|l|l.split_whitespace().map(|d|d.parse::<u8>().unwrap()).collect::<Vec<_>>()).collect(); assert_eq!(truth.len(),81);
  let im=photo::open(&p).unwrap(); let ink=photo::Ink::new(&im); let b=locate::boards(&ink.gray);
  let cells=b.into_iter().next().filter(|b|b.lattice.side==9).map(|b|cells::cell_pictures(&b.lattice));
  photos.push((p.file_name().unwrap().to_str().unwrap().to_owned(),truth,cells)); }
 println!("{} photos, {} boards {:?}",photos.len(),photos.iter().filter(|p|p.2.is_some()).count(),t.elapsed());
 let fonts:Vec<training::Example>=std::fs::read_to_string(&a[2]).unwrap().lines().filter_map(|l|{let mut f=l.rsplitn(3,','); let png=f.next()?; let digit:u8=f.next()?.parse().ok()?; if digit==0 {return None} use base64::Engine as _; let bytes=base64::engine::general_purpose::STANDARD.decode(png).ok()?; let im=image::load_from_memory(&bytes).ok()?.into_luma8(); Some(training::Example{picture:im.pixels().map(|p|f32::from(p.0[0])/255.).collect(),digit})}).collect();
 let m:f32=fonts.iter().map(|f|f.picture.iter().sum::<f32>()/784.).sum::<f32>()/fonts.len() as f32; println!("{} fonts mean {m}",fonts.len());
 let fonts:Vec<_>=if m>0.5 {fonts.into_iter().map(|f|training::Example{picture:f.picture.iter().map(|v|1.-v).collect(),digit:f.digit}).collect()}else{fonts};
 // group by grid
 let mut groups:BTreeMap<Vec<u8>,usize>=BTreeMap::new(); for p in &photos { let n=groups.len(); groups.entry(p.1.clone()).or_insert(n); } println!("{} distinct grids",groups.len());
 let engine=OrtEngine::load(Some(Path::new("/tmp/runs/libonnxruntime.so.1.32.0"))).unwrap();
 let config=ClassifierConfig{size:28,channels:[16,48],hidden:64,classes:10};
 let (mut trusted,mut wrong_trusted)=(0,0); let (mut boards_ok,mut boards_n,mut cells_ok,mut cells_n)=(0,0,0,0);
 for fold in 0..folds {
  let mut set=training::TrainingSet{cells:vec![],fonts:fonts.clone()};
  let mut test_idx=vec![];
  for (i,p) in photos.iter().enumerate(){ let f=groups[&p.1]%folds; if f==fold && folds>1 {test_idx.push(i);} else if let Some(c)=&p.2 { 
     let c=&upright(c,&p.1); if c.is_empty() {continue}
     for (k,d) in p.1.iter().enumerate(){ set.cells.push(training::Example{picture:c[k*784..(k+1)*784].to_vec(),digit:*d}); } } }
  let opts=UpdateOptions{rule:UpdateRule::AdamW{eps:1e-8},beta1:0.9,beta2:0.99,weight_decay:0.01,puzzle_emb_weight_decay:0.,clip_grad_norm:None,ema:Some(0.995)};
  let mut tr=ClassifierTraining::new(&engine,config,64,opts,fold as u64).unwrap(); let mut rng=training::generator(fold as u64); let t=std::time::Instant::now();
  let (mut l,mut r)=(0.,0);
  for s in 0..steps { let b:Vec<_>=(0..64).map(|_|set.draw(&mut rng)).collect(); let lr=3e-3*(0.5+0.5*(std::f64::consts::PI*s as f64/steps as f64).cos())*((s+1) as f64/100.).min(1.);
   let o=tr.step(b.iter().flat_map(|e|e.picture.iter().copied()).collect(),b.iter().map(|e|i32::from(e.digit)).collect(),lr).unwrap(); l+=o.loss; r+=o.right; if s%500==499 { println!("fold {fold} step {} loss {:.4} right {:.4} {:?}",s+1,l/500.,r as f32/500./64.,t.elapsed()); l=0.;r=0; } }
  let w=tr.weights().unwrap(); let g=classify_graph(&config,&w).unwrap(); let bytes=trm_export::onnx::write::encode(&g,&[]).onnx; std::fs::write(format!("/tmp/reader{fold}.onnx"),&bytes).unwrap();
  let mut rd=reader::BoardReader::new(Classifier::on_tract(&bytes,28,10).unwrap());
  for &i in &test_idx { boards_n+=1; cells_n+=81; let p=&photos[i]; let t=std::time::Instant::now(); let r=rd.read(&photo::open(&Path::new(dir).join(&p.0)).unwrap()).unwrap(); let ms=t.elapsed(); 
   let Some(g)=&r.grid else {println!("no board {}",p.0); continue}; if g.cells().len()!=81 {println!("size {}",p.0); continue}
   let right=g.cells().iter().zip(&p.1).filter(|(a,b)|a==b).count(); cells_ok+=right; boards_ok+=usize::from(right==81); trusted+=usize::from(r.trusted()); if r.trusted()&&right<81 {wrong_trusted+=1}
   if right<81 || !r.trusted() { println!("{} {} wrong, turns {} {:?} {ms:?}: {}",p.0,81-right,r.turns,r.refusal, g.cells().iter().zip(&p.1).enumerate().filter(|(_,(a,b))|a!=b).take(10).map(|(k,(a,b))|format!("{k}:{b}->{a} p{:.2}/{:.2}",r.probabilities[k*10+*a as usize],r.probabilities[k*10+*b as usize])).collect::<Vec<_>>().join(" ")); } }
  println!("trusted {trusted} wrong trusted {wrong_trusted}");
  println!("fold {fold}: boards {boards_ok}/{boards_n} cells {cells_ok}/{cells_n}");
 }
}
fn upright(c:&[f32],t:&[u8])->Vec<f32>{ let ink:Vec<f32>=c.chunks(784).map(|p|(6..22).flat_map(|y|(6..22).map(move |x|y*28+x)).map(|k|p[k].max(0.)).sum::<f32>()).collect();
 let sc:Vec<f32>=(0..4).map(|turns|(0..81).map(|k|{let i=ink[reader::turned_cell(k,9,turns)].min(60.); if t[k]>0 {i}else{-i}}).sum()).collect();
 let m=sc.iter().copied().fold(0.,f32::max); let best=if sc[0]>0.9*m {0} else if (sc[1]-sc[3]).abs()<0.1*m {println!("ambiguous {sc:?}"); return vec![]} else if sc[1]>sc[3] {1} else {3};
 (0..81).flat_map(|k|{let f=reader::turned_cell(k,9,best); cells::turned(&c[f*784..(f+1)*784],best)}).collect() }
