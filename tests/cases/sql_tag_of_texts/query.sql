WITH rated AS (
  SELECT "#user_id", CASE WHEN vip THEN 'vip' WHEN level > 1 THEN 'regular' END AS value FROM v_user_1
)
SELECT "#user_id", value FROM rated
