SELECT e."#user_id"
FROM v_event_1 AS e
WHERE e."$part_date" BETWEEN '2026-07-08' AND '2026-07-14' AND e."$part_event" = 'pay'
GROUP BY e."#user_id"
HAVING count(*) > 1
